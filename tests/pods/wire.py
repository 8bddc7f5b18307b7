# SPDX-License-Identifier: MIT
"""The wire that pods and clients are plugged into, one after the other."""
import ipaddress
import itertools

from lab import netns

# What talks to the pods.
BALANCER = ["10.77.0.20", "fd77::20"]
TRUSTED_TEST = ["10.77.0.30", "fd77::30"]
OTHER_BALANCER = ["10.78.0.20", "fd78::20"]
OUTSIDER = ["203.0.113.66", "2001:db8:66::66"]
UNTRUSTED_TEST = ["203.0.113.67", "2001:db8:66::67"]
TRUSTED = ["10.77.0.0/24", "fd77::/64"]
OTHER_TRUSTED = ["10.78.0.0/24", "fd78::/64"]


# Pods have numbers from here on; those before are for the others.
FIRST_POD, LAST_POD = 100, 250

_pods = itertools.cycle(range(FIRST_POD, LAST_POD))


def pod_addresses():
    """For a pod of the balancer's networks."""
    number = next(_pods)
    return [f"10.77.0.{number}", f"fd77::{number}"]


def link_address(host):
    """By its IP address: who has talked to a pod need not ask again where its successor is."""
    number = ipaddress.ip_address(host.address()).packed
    return ":".join(f"{byte:02x}" for byte in b"\x02\x00" + number)


class Wire(netns.Wire):
    def __init__(self):
        super().__init__()
        self._numbers = itertools.count()

    def ready(self):
        super().ready()
        netns.ip_batch(self.pid, ["link add br0 type bridge mcast_snooping 0", "link set br0 up"])

    def plug_one(self, host):
        """A host, or a pod whose namespaces are there."""
        end = f"p{next(self._numbers)}"
        netns.ip_batch(self.pid, [f"link add {end} type veth peer name eth0 "
                                  f"address {link_address(host)} netns {host.pid}",
                                  f"link set {end} master br0", f"link set {end} up"])
        host.add_addresses()
