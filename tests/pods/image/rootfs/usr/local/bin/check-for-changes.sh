#!/bin/bash
# SPDX-License-Identifier: MIT
#
# check-for-changes.sh - looks every few seconds whether an account or a certificate is another one;
# then the tables are made anew, and both servers told.
export SCRIPT_PID=$$
for part in say settings accounts dovecot postfix tls hook; do
	# shellcheck source=/dev/null
	. "/usr/local/lib/mail-start/$part.sh"
done
# shellcheck source=/dev/null
. "$SETTINGS"
[[ -f $SUMS ]] || exit 0

changed() {
	sums >"$SUMS.new"
	! cmp -s "$SUMS" "$SUMS.new"
}

bring_in() {
	rebuild_accounts
	[[ $SSL_TYPE != manual ]] || copy_certificates
	age_main_cf
	postfix reload
	[[ $SMTP_ONLY -eq 1 ]] || dovecot reload
	mv "$SUMS.new" "$SUMS"
}

while true; do
	if changed; then
		say "a change was found"
		bring_in
	fi
	sleep "$DMS_CONFIG_POLL"
done
