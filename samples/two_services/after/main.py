"""Starts the stock service, asks the shop for a price, stops the stock service."""
import os
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))


def free_port():
    with socket.socket() as sock:
        sock.bind(('127.0.0.1', 0))
        return sock.getsockname()[1]


def wait_for(port):
    for _ in range(100):
        with socket.socket() as sock:
            if sock.connect_ex(('127.0.0.1', port)) == 0:
                return
        time.sleep(0.1)
    raise SystemExit('stock service did not start')


def main():
    port = free_port()
    stock = subprocess.Popen([sys.executable, os.path.join(HERE, 'stock.py'), str(port)])
    try:
        wait_for(port)
        return subprocess.call([sys.executable, os.path.join(HERE, 'shop.py'), str(port)])
    finally:
        stock.terminate()
        stock.wait()


if __name__ == '__main__':
    sys.exit(main())
