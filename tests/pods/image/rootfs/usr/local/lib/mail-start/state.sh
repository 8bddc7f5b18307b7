# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# What outlives the container, when there is a volume for it.

readonly STATE=/var/mail-state

keep_state() {
	[[ -d $STATE ]] || return 0
	local path kept
	for path in spool/postfix lib/postfix lib/dovecot; do
		kept=$STATE/${path%%/*}-${path#*/}
		if [[ -d $kept ]]; then
			rm -rf "/var/${path:?}"
		else
			mv "/var/$path" "$kept"
		fi
		ln -s "$kept" "/var/$path"
	done
}

# The spool may be another container's leftover, and that container's users had other numbers.
adjust_state_permissions() {
	[[ -d $STATE/spool-postfix ]] || return 0
	rm -rf "$STATE"/spool-postfix/{dev,etc,lib,pid,usr,private/auth}
	chown -R postfix "$STATE/lib-postfix" "$STATE"/spool-postfix/*
	chown root "$STATE/spool-postfix"
	chgrp postdrop "$STATE"/spool-postfix/{maildrop,public}
}

adjust_folders() {
	chmod +x "$CONFIG"
	find /var/run/ -not -name supervisord.pid -name '*.pid' -delete
	touch /dev/shm/supervisor.sock
}
