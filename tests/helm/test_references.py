# SPDX-License-Identifier: MIT
"""What the pods refer to is there, and mounted so that changes come through."""
import objects
import strict_yaml
import tools


def test_what_pods_refer_to_is_rendered_or_a_value(case, rendered):
    named = objects.texts([strict_yaml.load((tools.CHART / "values.yaml").read_text()), case.values])
    provided = objects.provided(rendered)
    for title, _, spec in objects.pods(rendered):
        for kind, name in objects.references(spec):
            assert (kind, name) in provided or name in named, f"{title}: {kind}/{name}"


def test_mounts_have_volumes_and_volumes_have_mounts(rendered):
    for title, _, spec in objects.pods(rendered):
        volumes = [volume["name"] for volume in spec.get("volumes", [])]
        mounted = {mount["name"] for container in objects.containers(spec)
                   for mount in container.get("volumeMounts", [])}
        assert len(volumes) == len(set(volumes)), title
        assert mounted == set(volumes), title


def test_no_place_is_mounted_twice(rendered):
    for title, _, spec in objects.pods(rendered):
        for container in objects.containers(spec):
            places = [mount["mountPath"] for mount in container.get("volumeMounts", [])]
            assert len(places) == len(set(places)), f"{title}: {container['name']}"


def test_files_are_mounted_as_folders(rendered):
    """A subPath of a ConfigMap or Secret keeps its first content for ever."""
    for title, _, spec in objects.pods(rendered):
        live = {volume["name"] for volume in spec.get("volumes", [])
                if {"configMap", "secret", "projected"} & set(volume)}
        for container in objects.containers(spec):
            for mount in container.get("volumeMounts", []):
                assert mount["name"] not in live or not {"subPath", "subPathExpr"} & set(mount), \
                    f"{title}: {container['name']}: {mount}"


def test_every_container_says_what_it_may_do(case, rendered):
    """Those of the chart; the user's own containers are the user's."""
    extra = {container["name"] for key in ("extraContainers", "extraInitContainers")
             for container in case.values.get(key, [])}
    for title, _, spec in objects.pods(rendered):
        assert spec["automountServiceAccountToken"] is False, title
        for container in objects.containers(spec):
            if container["name"] not in extra:
                context = container["securityContext"]
                assert context["capabilities"]["drop"] == ["ALL"], f"{title}: {container['name']}"
                assert not context.get("privileged"), f"{title}: {container['name']}"
