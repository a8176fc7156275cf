"""A machine without jaeger-client, thrift, tornado and threadloop, for the programs beside it."""

import sys


class Absent:
    names = ("jaeger_client", "thrift", "tornado", "threadloop", "mock", "codemods", "click")

    def find_spec(self, fullname, path=None, target=None):
        if fullname.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)


sys.meta_path.insert(0, Absent())
