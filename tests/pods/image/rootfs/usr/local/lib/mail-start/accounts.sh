# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# Accounts: postfix-accounts.cf, with USER|HASH in each line, becomes tables of both servers.

readonly ACCOUNTS=$CONFIG/postfix-accounts.cf
readonly ACCOUNT_WAIT_S=120
readonly MAIL=/var/mail

set_vmail_id() {
	sed -i "s/__VMAIL_UID__/$DMS_VMAIL_UID/; s/__VMAIL_GID__/$DMS_VMAIL_GID/" \
		/etc/dovecot/conf.d/10-auth.conf
	postconf "virtual_uid_maps = static:$DMS_VMAIL_UID" "virtual_gid_maps = static:$DMS_VMAIL_GID"
}

valid_lines() {
	grep -Ev '^[[:space:]]*(#|$)' "$1"
}

# A container without an account is of no use, so the first is waited for.
make_accounts() {
	local waited
	for ((waited = 0; waited < ACCOUNT_WAIT_S; waited++)); do
		[[ ! -s $ACCOUNTS ]] || break
		[[ $waited -gt 0 ]] || say "waiting for the first account in $ACCOUNTS"
		sleep 1
	done
	[[ -s $ACCOUNTS ]] && rebuild_accounts
}

rebuild_accounts() {
	local user hash domain
	: >/etc/postfix/vmailbox.new
	: >/etc/dovecot/userdb.new
	: >/etc/postfix/vhost.new
	while IFS='|' read -r user hash _; do
		domain=${user#*@}
		printf '%s %s/%s/\n' "$user" "$domain" "${user%@*}" >>/etc/postfix/vmailbox.new
		printf '%s:%s\n' "$user" "$hash" >>/etc/dovecot/userdb.new
		printf '%s OK\n' "$domain" >>/etc/postfix/vhost.new
		mkdir -p "$MAIL/$domain/${user%@*}"
		chown "$DMS_VMAIL_UID:$DMS_VMAIL_GID" "$MAIL/$domain" "$MAIL/$domain/${user%@*}"
	done < <(valid_lines "$ACCOUNTS")
	sort -u -o /etc/postfix/vhost.new /etc/postfix/vhost.new
	chown dovecot:dovecot /etc/dovecot/userdb.new
	chmod 640 /etc/dovecot/userdb.new
	mv /etc/postfix/vmailbox.new /etc/postfix/vmailbox
	mv /etc/postfix/vhost.new /etc/postfix/vhost
	mv /etc/dovecot/userdb.new /etc/dovecot/userdb
}
