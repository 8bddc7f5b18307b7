# SPDX-License-Identifier: MIT
"""Services and NetworkPolicies of a rendering, as packet filter rules in the pods' own networks.

What kube-proxy does on a node is done in the network of whoever connects: a Service's address leads
to the pod.  What a network plugin does is done in the network of the pod that is guarded.
"""
import contextlib
import ipaddress
import subprocess

from lab import wait

# By family: the program that loads rules, and the network of the Services' addresses.
FAMILIES = {4: ("iptables-restore", "10.96.0.0/24"), 6: ("ip6tables-restore", "fd96::/64")}
DOMAIN = "cluster.local"


def _load(pid, family, rules):
    """Replace a table in the network of a process."""
    subprocess.run(["nsenter", f"--net=/proc/{pid}/ns/net", FAMILIES[family][0], "--wait"],
                   input="\n".join([*rules, "COMMIT"]) + "\n", text=True, check=True,
                   timeout=wait.LIMIT_S)


def _matches(labels, selector):
    return all(labels.get(key) == value for key, value in selector.items())


def _ports_of(template):
    """{name: number} of the containers' ports."""
    return {port["name"]: port["containerPort"] for container in template["spec"]["containers"]
            for port in container.get("ports") or [] if "name" in port}


def _number(port, template):
    return port if isinstance(port, int) else _ports_of(template)[port]


class Services:
    """Those of a rendering that lead to a pod; `moved` leads a port elsewhere: {25: 25}."""

    def __init__(self, rendered, pod, moved=None):
        self._pod = pod
        self._template = rendered.template()
        self._moved = moved or {}
        labels = self._template["metadata"]["labels"]
        self._services = [each for each in rendered.of_kind("Service")
                          if each["spec"].get("selector")
                          and _matches(labels, each["spec"]["selector"])]

    def _address(self, number, family):
        return str(ipaddress.ip_network(FAMILIES[family][1])[number + 1])

    def hosts(self):
        """The names that the cluster's name server knows: [(address, [name, ...])]."""
        found = []
        for number, service in enumerate(self._services):
            metadata = service["metadata"]
            short = f"{metadata['name']}.{metadata['namespace']}"
            names = [metadata["name"], short, f"{short}.svc", f"{short}.svc.{DOMAIN}"]
            found += [(self._address(number, family), names) for family in FAMILIES]
        return found

    def _leads(self, family):
        """Of each port: (the Service's address, its port, the pod's port)."""
        for number, service in enumerate(self._services):
            for port in service["spec"]["ports"]:
                target = _number(port.get("targetPort", port["port"]), self._template)
                yield (self._address(number, family), port["port"],
                       self._moved.get(target, target))

    def lead(self, pid):
        """From now on the addresses lead to the pod, for programs in that process's network."""
        for family in FAMILIES:
            address = self._pod.address(family)
            where = f"[{address}]" if family == 6 else address
            _load(pid, family, ["*nat", *(
                f"-A OUTPUT -d {service} -p tcp --dport {port} -j DNAT "
                f"--to-destination {where}:{target}"
                for service, port, target in self._leads(family))])


def _peers(rule, family):
    """The sources of a rule as matches; [""] is everybody."""
    if not rule.get("from"):
        return [""]
    found = []
    for peer in rule["from"]:
        assert set(peer) == {"ipBlock"}, f"a NetworkPolicy's peer with {sorted(peer)}"
        assert not peer["ipBlock"].get("except"), "a NetworkPolicy's ipBlock with exceptions"
        if ipaddress.ip_network(peer["ipBlock"]["cidr"]).version == family:
            found.append(f"-s {peer['ipBlock']['cidr']} ")
    return found


@contextlib.contextmanager
def guarded(rendered, pod):
    """The NetworkPolicies that select the pod are in force until the end of the block."""
    template = rendered.template()
    policies = [each for each in rendered.of_kind("NetworkPolicy")
                if _matches(template["metadata"]["labels"],
                            each["spec"]["podSelector"].get("matchLabels", {}))]
    assert policies, "no NetworkPolicy selects the pod"
    rules = [rule for each in policies for rule in each["spec"].get("ingress") or []]
    for family, echo in ((4, "icmp"), (6, "ipv6-icmp")):
        accepted = [f"-A INPUT {source}-p tcp --dport {_number(port['port'], template)} -j ACCEPT"
                    for rule in rules for source in _peers(rule, family)
                    for port in rule.get("ports") or []]
        _load(pod.pid, family, [
            "*filter", ":INPUT DROP", "-A INPUT -i lo -j ACCEPT",
            "-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
            f"-A INPUT -p {echo} -j ACCEPT", *accepted])
    try:
        yield
    finally:
        for family in FAMILIES:
            _load(pod.pid, family, ["*filter", ":INPUT ACCEPT"])
