#!/bin/bash
# SPDX-License-Identifier: MIT
#
# start-mailserver.sh - what supervisord starts first: checks, sets up, starts the daemons.
#
# The order, and what a failing step does (nothing, unless it gives up by itself), are those of
# docker-mailserver; the words are not.
set -o pipefail

readonly MARK=/CONTAINER_START
readonly LOG=/var/log/mail/mail.log
export SCRIPT_PID=$$

for part in say settings accounts dovecot postfix tls state hook; do
	# shellcheck source=/dev/null
	. "/usr/local/lib/mail-start/$part.sh"
done

# Each time in a fresh container, in this order; the hook is the last one.
set_up() {
	set_vmail_id
	set_up_dovecot
	make_accounts || give_up "no account came within $ACCOUNT_WAIT_S seconds"
	set_dovecot_protocol_family
	add_policy_service
	add_amavis
	set_up_tls
	set_networks
	set_mail_name
	set_up_postfix_early
	set_up_postfix_late
	keep_state
	adjust_state_permissions
	adjust_folders
	run_user_patches
}

start_daemons() {
	local program
	for program in $(daemons); do
		say "starting $program"
		supervisorctl start "$program" >/dev/null || give_up "could not start $program"
	done
}

daemons() {
	echo rsyslog
	[[ $SMTP_ONLY -eq 1 ]] || echo dovecot
	echo postfix
	echo changedetector
}

make_settings
check_host_name
if [[ -f $MARK ]]; then
	say "the container was restarted: most of the set-up is left out"
	adjust_folders
	adjust_state_permissions
else
	set_up
	remember_inputs
	date >"$MARK"
fi

mkdir -p "${LOG%/*}"
touch "$LOG"
first_line=$(($(wc -l <"$LOG") + 1))
age_main_cf
start_daemons
say "$HOSTNAME is up and running"
exec tail -Fn "+$first_line" "$LOG"
