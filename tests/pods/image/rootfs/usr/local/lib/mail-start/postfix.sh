# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# Postfix: what is added to master.cf, and the owner's postfix-master.cf and postfix-main.cf.

add_policy_service() {
	[[ $ENABLE_POLICYD_SPF -eq 1 ]] || return 0
	cat >>/etc/postfix/master.cf <<-'ENTRY'

		policyd-spf unix -       n       n       -       0       spawn
		    user=nobody argv=/usr/bin/policyd-spf
	ENTRY
}

add_amavis() {
	[[ $ENABLE_AMAVIS -ne 1 ]] || cat /etc/postfix/postfix-amavis.cf >>/etc/postfix/master.cf
}

set_networks() {
	case $PERMIT_DOCKER in
	none) postconf "mynetworks =" ;;
	host) postconf "mynetworks = 127.0.0.0/8 [::1]/128" ;;
	esac
}

set_up_postfix_early() {
	postconf "inet_protocols = $POSTFIX_INET_PROTOCOLS"
	[[ $SMTP_ONLY -ne 1 ]] ||
		sed -i 's/^  -o smtpd_sasl_auth_enable=.*/  -o smtpd_sasl_auth_enable=no/' \
			/etc/postfix/master.cf
}

set_up_postfix_late() {
	local line
	if [[ -f $CONFIG/postfix-master.cf ]]; then
		while read -r line; do
			[[ ! $line =~ ^[0-9a-z] ]] || postconf -P "$line"
		done < <(valid_lines "$CONFIG/postfix-master.cf")
	fi
	if [[ -f $CONFIG/postfix-main.cf ]]; then
		cat "$CONFIG/postfix-main.cf" >>/etc/postfix/main.cf
		postconf -n >/tmp/postfix-main-new.cf 2>/dev/null
		mv /tmp/postfix-main-new.cf /etc/postfix/main.cf
	fi
}

# Every program of Postfix waits for a main.cf that is younger than two seconds.
age_main_cf() {
	touch -d '3 seconds ago' /etc/postfix/main.cf
}
