# SPDX-License-Identifier: MIT
"""What an ingress controller makes of an overlay: {name: (public port, port of the pod)}.

nginx and HAProxy carry it out: nginx sends PROXY v1 as ingress-nginx does, HAProxy v2 as Traefik.
"""
import re

import cluster

# The PROXY protocol on the way to the pod, and not on the way in.
_TCP_SERVICE = re.compile(r"mail/([a-z-]+):(\d+)::PROXY")


def ingress_nginx(objects):
    ports = {}
    for public, value in cluster.find(objects, "ConfigMap", "tcp-services")["data"].items():
        service, port = _TCP_SERVICE.fullmatch(value).groups()
        ports[f"port-{public}"] = (int(public), cluster.pod_port(objects, service, int(port)))
    return ports


def traefik(objects):
    ports = {}
    for route in (one for one in objects if one["kind"] == "IngressRouteTCP"):
        rule, = route["spec"]["routes"]
        service, = rule["services"]
        assert rule["match"] == "HostSNI(`*`)"
        transport = cluster.find(objects, "ServersTransportTCP", service["serversTransport"])
        assert transport["spec"]["proxyProtocol"] == {"version": 2}
        assert transport["metadata"]["namespace"] == route["metadata"]["namespace"]
        entry_point, = route["spec"]["entryPoints"]
        ports[entry_point] = (cluster.service_port(objects, service["name"], entry_point),
                              cluster.pod_port(objects, service["name"], service["port"]))
    return ports


def start(stage, kind, objects):
    """The controller's address; it listens on the overlay's ports."""
    controller = stage.controller
    if kind == "traefik":
        controller.start_haproxy(stage.mail.address(), traefik(objects))
        return controller.haproxy_address()
    controller.start_nginx(stage.mail.address(), ingress_nginx(objects))
    return controller.nginx_address()


def stop(stage):
    stage.controller.stop_haproxy()
    stage.controller.stop_nginx()
