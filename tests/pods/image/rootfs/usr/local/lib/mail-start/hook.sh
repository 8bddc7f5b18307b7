# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# The owner's hook, and what the change detector begins with.

readonly PATCHES=$CONFIG/user-patches.sh

# Its exit status changes nothing.
run_user_patches() {
	[[ -f $PATCHES ]] || return 0
	say "running user-patches.sh"
	/bin/bash "$PATCHES"
}

watched() {
	local file
	for file in "$CONFIG/postfix-accounts.cf" "$SSL_CERT_PATH" "$SSL_KEY_PATH"; do
		[[ ! -f $file ]] || printf '%s\n' "$file"
	done
}

sums() {
	watched | xargs -r -d '\n' sha512sum
}

remember_inputs() {
	sums >"$SUMS"
}

readonly SUMS=/tmp/docker-mailserver-config-chksum
