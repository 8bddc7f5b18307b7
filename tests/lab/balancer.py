# SPDX-License-Identifier: MIT
"""The host in front: HAProxy (PROXY v2) on one address, nginx's stream module (v1) on another."""
from . import host, mailhost

HAPROXY_CONF = "/etc/haproxy/lab.cfg"
NGINX_CONF = "/etc/nginx/lab.conf"


def haproxy_text(bind, target, ports, options="send-proxy-v2"):
    """Each public port goes to one port of the mail host."""
    parts = ["""\
global
    log /dev/log local0
    maxconn 200
    nbthread 1
defaults
    mode tcp
    timeout connect 60s
    timeout client 60s
    timeout server 60s
"""]
    for name, (public, inner) in ports.items():
        parts.append(f"listen {name}\n"
                     + "".join(f"    bind {_bracket(address)}:{public}\n" for address in bind)
                     + f"    server mail {_bracket(target)}:{inner} {options}\n")
    return "".join(parts)


def nginx_text(bind, target, ports, proxy_protocol=True):
    servers = "".join(
        "server {\n" + "".join(f"  listen {_bracket(address)}:{public};\n" for address in bind)
        + f"  proxy_pass {_bracket(target)}:{inner};\n"
        + ("  proxy_protocol on;\n" if proxy_protocol else "") + "}\n"
        for public, inner in ports.values())
    return f"""\
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off;
master_process off;
worker_processes 1;
pid /run/nginx.pid;
error_log stderr warn;
events {{ worker_connections 200; }}
stream {{
{servers}}}
"""


def _bracket(address):
    return f"[{address}]" if ":" in address else address


def twin_ports():
    """{service: (public port, twin's port)} for all services."""
    return {name: (mailhost.STOCK_PORTS[name], twin)
            for name, twin in mailhost.TWIN_PORTS.items()}


def stock_ports():
    return {name: (port, port) for name, port in mailhost.STOCK_PORTS.items()}


class Balancer(host.Host):
    """addresses: of each family, the first is HAProxy's, the second nginx's."""

    def __init__(self, release, addresses, folder):
        super().__init__("balancer", release, addresses, folder)
        self.haproxy = None
        self.nginx = None

    def haproxy_address(self, family=4):
        return self.address(family, 0)

    def nginx_address(self, family=4):
        return self.address(family, 1)

    def start_haproxy(self, target, ports=None, options="send-proxy-v2"):
        ports = ports or twin_ports()
        bind = [self.haproxy_address(4), self.haproxy_address(6)]
        self.write(HAPROXY_CONF, haproxy_text(bind, target, ports, options))
        self.haproxy = self.spawn(["haproxy", "-db", "-f", HAPROXY_CONF])
        self._await_listeners("HAProxy", self.haproxy, bind, ports)

    def start_nginx(self, target, ports=None, proxy_protocol=True):
        ports = ports or twin_ports()
        bind = [self.nginx_address(4), self.nginx_address(6)]
        self.write(NGINX_CONF, nginx_text(bind, target, ports, proxy_protocol))
        self.nginx = self.spawn(["nginx", "-c", NGINX_CONF])
        self._await_listeners("nginx", self.nginx, bind, ports)

    def stop_haproxy(self):
        if self.haproxy is not None:
            self.haproxy.stop()
            self.haproxy = None

    def stop_nginx(self):
        if self.nginx is not None:
            self.nginx.stop()
            self.nginx = None

    def _await_listeners(self, name, process, bind, ports):
        def up():
            if not process.running:
                raise AssertionError(f"{name} ended: {process.output}")
            return wanted <= self.listeners()

        wanted = {(address, public) for address in bind for public, _ in ports.values()}
        host.wait.until(up, f"{name} to listen")
