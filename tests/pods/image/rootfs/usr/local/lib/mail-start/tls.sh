# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# TLS: certificates of the owner's, copied to one place, or none at all.

readonly TLS=/etc/dms/tls

set_up_tls() {
	case $SSL_TYPE in
	manual) copy_certificates || give_up "SSL_CERT_PATH '$SSL_CERT_PATH' or SSL_KEY_PATH is missing" ;;
	'') take_tls_away ;;
	*) give_up "SSL_TYPE '$SSL_TYPE' is none of this image's" ;;
	esac
}

copy_certificates() {
	[[ -f $SSL_CERT_PATH && -f $SSL_KEY_PATH ]] || return 1
	mkdir -p "$TLS"
	cp "$SSL_KEY_PATH" "$TLS/key"
	cp "$SSL_CERT_PATH" "$TLS/cert"
	chmod 600 "$TLS/key"
	chmod 644 "$TLS/cert"
}

take_tls_away() {
	sed -i -E 's/(smtpd?_tls_security_level)=.*/\1=none/; s/(wrappermode)=yes/\1=no/' \
		/etc/postfix/master.cf
	postconf -X smtpd_tls_chain_files
	postconf "smtpd_tls_security_level = none" "smtpd_tls_auth_only = no"
	[[ $SMTP_ONLY -eq 1 ]] || printf 'ssl = no\n' >/etc/dovecot/conf.d/10-ssl.conf
	[[ $SMTP_ONLY -eq 1 ]] || sed -i 's/^\( *\)ssl = yes/\1ssl = no/' "$LISTENERS"
}
