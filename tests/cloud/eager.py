"""Glance with transactions that wait for each other.

SQLite fails one at once ("database is locked", a 500) that has read before it
writes, if another wrote meanwhile, as happens where an import ends.
"""

import sqlalchemy
from glance.wsgi.api import application  # noqa: F401 (what uWSGI serves)


@sqlalchemy.event.listens_for(sqlalchemy.engine.Engine, "begin")
def begin(connection):
    if connection.dialect.name == "sqlite" and "in_transaction" not in connection.info:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        connection.info["in_transaction"] = True  # or oslo.db begins it
