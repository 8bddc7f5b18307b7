#!/bin/sh
# What boky/postfix does before its daemons: folders and their owners, settings from the environment,
# the submission service.
set -e
mkdir -p /var/spool/postfix/pid /var/spool/postfix/private /var/spool/postfix/public
chown root: /var/spool/postfix /var/spool/postfix/pid
chown -R postfix:postdrop /var/spool/postfix/private /var/spool/postfix/public
postfix -c /etc/postfix/ set-permissions >/dev/null 2>&1 || true
set -- 'mydestination =' 'relay_domains =' 'maillog_file = /dev/stdout' \
	'mynetworks = 127.0.0.0/8,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16' \
	'smtpd_client_restrictions = permit_mynetworks,permit_sasl_authenticated,reject'
for name in $(env | sed -n 's/^POSTFIX_\([a-z0-9_]*\)=.*/\1/p'); do
	set -- "$@" "$name = $(printenv "POSTFIX_$name")"
done
postconf -e "$@"
sed -i 's/^#submission /submission /' /etc/postfix/master.cf
exec supervisord -c /etc/supervisord.conf
