# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# packages - the Debian packages that the scripts stand on.  To be sourced.
#
#   need_packages PACKAGE...   sees to it that they are installed: as root it installs what is
#                              missing, otherwise it prints the line for that and fails
#
# None of them holds a service, so nothing is started on the machine.

# shellcheck disable=SC2034  # for whoever sources this
readonly -a BUILD_PACKAGES=(gcc libc6-dev cmake ninja-build libconfuse-dev libcap-ng-dev
	libevent-dev libinotifytools0-dev libjansson-dev libmd-dev)
# shellcheck disable=SC2034
readonly -a LAB_PACKAGES=(debootstrap debian-archive-keyring gpgv iproute2 util-linux python3)

# shellcheck disable=SC2034
readonly -a TEST_PACKAGES=(binutils ca-certificates clang clang-tidy git libcmocka-dev mandoc
	procps python3-pip python3-pytest python3-pytest-rerunfailures python3-pytest-timeout
	python3-pytest-xdist python3-yaml shellcheck)

# What the tests of images stand on.  podman's default runtime wants cgroups that not every machine
# has; runc takes both kinds.
# shellcheck disable=SC2034
readonly -a CONTAINER_PACKAGES=(buildah podman qemu-user-static runc)

readonly APT_LOCK_WAIT_S=300

missing_packages() {
	local package
	for package; do
		# shellcheck disable=SC2016  # dpkg-query's own variable
		dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null |
			grep -qx installed || printf '%s\n' "$package"
	done
}

# Quiet, unless it fails.
run_apt_get() {
	local said
	said=$(DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout="$APT_LOCK_WAIT_S" \
		"$@" 2>&1 </dev/null) || { printf '%s\n' "$said" >&2 && return 1; }
}

need_packages() {
	local -a missing
	if ! command -v dpkg-query >/dev/null; then
		printf 'this is no Debian machine; needed are: %s\n' "$*" >&2
		return 1
	fi
	mapfile -t missing < <(missing_packages "$@")
	[[ ${#missing[@]} -gt 0 ]] || return 0
	if [[ $EUID -ne 0 ]]; then
		printf 'packages are missing; as root, run:\n  apt-get install --no-install-recommends %s\n' \
			"${missing[*]}" >&2
		return 1
	fi
	printf 'installing: %s\n' "${missing[*]}" >&2
	run_apt_get update || printf 'apt-get update failed; trying with what apt knows\n' >&2
	run_apt_get install --yes --no-install-recommends "${missing[@]}" || {
		printf 'could not install: %s\n' "${missing[*]}" >&2
		return 1
	}
}
