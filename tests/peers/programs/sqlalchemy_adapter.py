"""sqlalchemy_opentracing on SQLite: statements under a parent, under the active span, an error."""

import sqlalchemy_opentracing
from legacy_tracer import legacy_tracer
from sqlalchemy import Column, Integer, MetaData, String, Table, create_engine, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.sql import text

tracer = legacy_tracer("sqlalchemy-app")
sqlalchemy_opentracing.init_tracing(tracer, trace_all_engines=False, trace_all_queries=True)
engine = create_engine("sqlite:///:memory:")
sqlalchemy_opentracing.register_engine(engine)
people = Table(
    "people", MetaData(), Column("id", Integer, primary_key=True), Column("name", String)
)

with engine.connect() as connection:
    people.create(connection)
    with tracer.start_active_span("root"):
        connection.execute(people.insert().values(name="ann"))
    with tracer.start_span("parent") as parent:
        query = select(people.c.name)
        sqlalchemy_opentracing.set_parent_span(query, parent)
        assert connection.execute(query).scalar() == "ann"
    try:
        connection.execute(text("select nothing from nowhere"))
    except OperationalError:
        pass
    else:
        raise AssertionError("the statement did not fail")
