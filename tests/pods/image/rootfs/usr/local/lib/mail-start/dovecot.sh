# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# Dovecot: which protocols there are, and the owner's dovecot.cf.

readonly LISTENERS=/etc/dovecot/conf.d/10-master.conf

set_up_dovecot() {
	[[ $SMTP_ONLY -ne 1 ]] || return 0
	local protocols=
	[[ $ENABLE_POP3 -ne 1 ]] || protocols+=" pop3"
	[[ $ENABLE_IMAP -ne 1 ]] || protocols+=" imap"
	[[ $ENABLE_MANAGESIEVE -ne 1 ]] || protocols+=" sieve"
	sed -i -e '/protocols\.d/d' -e "0,/^!include /s//protocols = $protocols\n!include /" \
		/etc/dovecot/dovecot.conf
	[[ $ENABLE_POP3 -ne 1 ]] || sed -i 's/#port = 995/port = 995/' "$LISTENERS"
	[[ $ENABLE_IMAP -ne 1 ]] || sed -i 's/#port = 993/port = 993/' "$LISTENERS"
	sed -i 's/#ssl = yes/ssl = yes/' "$LISTENERS"
	[[ ! -f $CONFIG/dovecot.cf ]] || cp "$CONFIG/dovecot.cf" /etc/dovecot/local.conf
}

set_dovecot_protocol_family() {
	case $DOVECOT_INET_PROTOCOLS in
	ipv4) sed -i '1i listen = *' /etc/dovecot/conf.d/10-master.conf ;;
	ipv6) sed -i '1i listen = [::]' /etc/dovecot/conf.d/10-master.conf ;;
	esac
}
