"""Code that only uses OpenTracing's global tracer and leaves its setup to somebody else."""

import opentracing


def main():
    with opentracing.tracer.start_active_span("order"), opentracing.tracer.start_active_span("pay"):
        pass


if __name__ == "__main__":
    main()
