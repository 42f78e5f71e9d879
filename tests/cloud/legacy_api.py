"""The glance-api of Pike on Python 3.6, as legacy-up runs it.

The properties of an image in its v2 are a dict with `keys` of its own, in terms
of `dict(self)`; since Python 3.6 that asks `keys` again, without end. Here they
are those of dict, as they were with the Python that Pike was made for.
"""

from glance import domain

for name in ("__iter__", "__len__", "__contains__", "get", "keys", "items", "values"):
    setattr(domain.ExtraProperties, name, getattr(dict, name))

from glance.cmd.api import main  # noqa: E402

main()
