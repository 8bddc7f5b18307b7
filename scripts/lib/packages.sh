# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# packages - the Debian packages that the scripts stand on.  To be sourced.
#
#   need_packages PACKAGE...   sees to it that they are installed: as root it installs what is
#                              missing, otherwise it prints the line for that and fails
#   need_build_packages [ARCHITECTURE]     the same for a build, for another architecture too
#   use_snapshot DATE [FOLDER]     makes apt take Debian as it was then
#
# None of them holds a service, so nothing is started on the machine.

# shellcheck disable=SC2034  # for whoever sources this
readonly -a BUILD_PACKAGES=(gcc libc6-dev cmake ninja-build libconfuse-dev libcap-ng-dev
	libevent-dev libinotifytools0-dev libjansson-dev libmd-dev libseccomp-dev)
# shellcheck disable=SC2034
readonly -a LAB_PACKAGES=(debootstrap debian-archive-keyring gpgv iproute2 nftables util-linux python3)

# shellcheck disable=SC2034
readonly -a TEST_PACKAGES=(binutils ca-certificates clang clang-tidy cppcheck git libclang-rt-dev
	libcmocka-dev llvm mandoc procps python3-jsonschema python3-pip python3-pytest
	python3-pytest-rerunfailures python3-pytest-timeout python3-pytest-xdist python3-yaml shellcheck)

# What pods are run with beside podman: what holds their namespaces, what leads a Service's address to
# them, and what makes certificates.
# shellcheck disable=SC2034
readonly -a POD_PACKAGES=(catatonit iptables openssl)

# What the tests of images stand on.  podman's default runtime wants cgroups that not every machine
# has; runc takes both kinds.
# shellcheck disable=SC2034
readonly -a CONTAINER_PACKAGES=(buildah podman runc)

# What `cmake --preset dev` and its tests need beyond these.
# shellcheck disable=SC2034
readonly -a UNIT_PACKAGES=(libcmocka-dev python3)

readonly SNAPSHOT=http://snapshot.debian.org/archive

# What the examples' tests need beside these: podman's networks, certificates, programs of PyPI.
# shellcheck disable=SC2034
readonly -a EXAMPLE_PACKAGES=(iptables netavark openssl python3-dotenv python3-pip python3-yaml)

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

cross_compiler_of() {
	case $1 in
	amd64) echo gcc-x86-64-linux-gnu ;;
	arm64) echo gcc-aarch64-linux-gnu ;;
	*) printf 'no build for the architecture "%s": amd64 or arm64\n' "$1" >&2 && return 1 ;;
	esac
}

# BUILD_PACKAGES on this machine for programs of another one: the libraries are that one's.  Its
# own libc is among them; the cross compiler's recommended copy of libc is of another version.
cross_packages() {
	local package
	for package in "${BUILD_PACKAGES[@]}"; do
		case $package in
		gcc) cross_compiler_of "$1" || return 1 ;;
		lib*) printf '%s:%s\n' "$package" "$1" ;;
		*) printf '%s\n' "$package" ;;
		esac
	done
}

need_build_packages() {
	local native packages
	native=$(dpkg --print-architecture)
	if [[ ${1:-$native} == "$native" ]]; then
		need_packages "${BUILD_PACKAGES[@]}"
		return
	fi
	packages=$(cross_packages "$1") || return 1
	dpkg --print-foreign-architectures | grep -qx "$1" || dpkg --add-architecture "$1" || return 1
	# shellcheck disable=SC2086  # one package a word
	need_packages $packages
}

# What a Release file says of its own validity has passed by then, so apt must not look.
use_snapshot() {
	local apt=${2:-/etc/apt} file
	for file in "$apt"/sources.list "$apt"/sources.list.d/*.list "$apt"/sources.list.d/*.sources; do
		[[ ! -f $file ]] || sed -E -i \
			"s,https?://[^ ]*/(debian|debian-security)/?( |\$),$SNAPSHOT/\\1/$1/\\2," "$file" || return 1
	done
	printf 'Acquire::Check-Valid-Until "false";\n' >"$apt/apt.conf.d/99postern-snapshot"
}
