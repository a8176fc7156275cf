"""A Celery application whose broker is the folder BROKER, and whose workers fork."""

import os

from celery import Celery
from jaeger_client import Config

tracer = Config(
    {"sampler": {"type": "const", "param": 1}}, service_name="celery"
).initialize_tracer()

folder = os.environ["BROKER"]
app = Celery("tasks", broker="filesystem://")
app.conf.broker_transport_options = {
    "data_folder_in": folder,
    "data_folder_out": folder,
    "control_folder": f"{folder}/control",
}


@app.task
def work(number):
    with tracer.start_active_span(f"work {number}"):
        return os.getpid()
