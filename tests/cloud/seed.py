"""Gives a bootstrapped Keystone what the tests sign in as.

usage: seed.py KEYSTONE_URL GLANCE_URL   (run by `up`; needs openstacksdk)
"""

import sys

import openstack

keystone, glance = sys.argv[1:]
identity = openstack.connect(
    load_yaml_config=False, load_envvars=False, region_name="RegionOne",
    auth={"auth_url": keystone, "username": "admin", "password": "secret", "project_name": "admin",
          "user_domain_id": "default", "project_domain_id": "default"},
).identity

roles = {role.name: role for role in identity.roles()}


def find_or_make(find, make, name, **fields):
    # A run that was cut short is continued, not repeated.
    return find(name, ignore_missing=True) or make(name=name, **fields)


for username, project_name, wanted in [
    ("glance", "service", ("admin", "service")),
    ("demo", "demo", ("member", "reader")),
    ("other", "other", ("member", "reader")),
]:
    project = find_or_make(identity.find_project, identity.create_project, project_name, domain_id="default")
    user = find_or_make(identity.find_user, identity.create_user, username, domain_id="default", password="secret")
    for role in wanted:
        if role in roles:
            identity.assign_project_role_to_user(project, user, roles[role])

service = find_or_make(identity.find_service, identity.create_service, "glance", type="image")
known = {endpoint.interface for endpoint in identity.endpoints(service_id=service.id)}
for interface in {"public", "internal", "admin"} - known:
    identity.create_endpoint(service_id=service.id, interface=interface, url=glance, region_id="RegionOne")
