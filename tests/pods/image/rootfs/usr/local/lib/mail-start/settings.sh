# shellcheck shell=bash disable=SC2034
# SPDX-License-Identifier: MIT
# The settings: the environment over the defaults, kept in a file for everybody else.

readonly SETTINGS=/etc/dms-settings
readonly CONFIG=/tmp/docker-mailserver

make_settings() {
	: "${ENABLE_IMAP:=1}" "${ENABLE_POP3:=0}" "${ENABLE_MANAGESIEVE:=0}" "${SMTP_ONLY:=0}"
	: "${ENABLE_AMAVIS:=1}" "${ENABLE_POLICYD_SPF:=1}"
	: "${SSL_TYPE:=}" "${SSL_CERT_PATH:=}" "${SSL_KEY_PATH:=}"
	: "${POSTFIX_INET_PROTOCOLS:=all}" "${DOVECOT_INET_PROTOCOLS:=all}"
	: "${PERMIT_DOCKER:=none}" "${DMS_CONFIG_POLL:=2}"
	: "${DMS_VMAIL_UID:=5000}" "${DMS_VMAIL_GID:=5000}"
	[[ -z ${OVERRIDE_HOSTNAME-} ]] || HOSTNAME=$OVERRIDE_HOSTNAME
	[[ $HOSTNAME == *.* || -z ${OVERRIDE_HOSTNAME-} ]] || HOSTNAME=$(hostname -f)
	DOMAINNAME=${HOSTNAME#*.}
	export HOSTNAME DOMAINNAME
	local name
	for name in DMS_CONFIG_POLL DMS_VMAIL_GID DMS_VMAIL_UID DOVECOT_INET_PROTOCOLS ENABLE_AMAVIS \
		ENABLE_IMAP ENABLE_MANAGESIEVE ENABLE_POLICYD_SPF ENABLE_POP3 PERMIT_DOCKER \
		POSTFIX_INET_PROTOCOLS SMTP_ONLY SSL_TYPE; do
		printf "%s='%s'\n" "$name" "${!name}"
	done >"$SETTINGS"
}

check_host_name() {
	[[ $HOSTNAME == *.*.* || $HOSTNAME == *.* ]] ||
		give_up "the host name '$HOSTNAME' has no domain: set OVERRIDE_HOSTNAME"
}

set_mail_name() {
	printf '%s\n' "$HOSTNAME" >/etc/mailname
	postconf "myhostname = $HOSTNAME" "mydomain = $DOMAINNAME"
}
