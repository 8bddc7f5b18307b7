# SPDX-License-Identifier: MIT
"""The configuration of the lab's mail host: docker-mailserver's structure, in our own words.

What matters to a program that edits master.cf is kept: the services and their order, the column
layout, comments and blank lines between and after entries, a dozen options on the submission
services, a service name that occurs twice (smtp/inet, smtp/unix), and the optional Amavis entry on
127.0.0.1:10025.
"""

DOMAIN = "example.test"
HOST_NAME = "mail.example.test"
USER = "alice@example.test"
PASSWORD = "correct horse"
VMAIL_ID = 5000
CERTIFICATE = "/etc/dms/tls/cert"
KEY = "/etc/dms/tls/key"

_SUBMISSION_OPTIONS = """\
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_sasl_type=dovecot
  -o smtpd_reject_unlisted_recipient=no
  -o smtpd_sasl_authenticated_header=yes
  -o smtpd_client_restrictions=permit_sasl_authenticated,reject
  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
  -o smtpd_sender_restrictions=$mua_sender_restrictions
  -o smtpd_discard_ehlo_keywords=
  -o milter_macro_daemon_name=ORIGINATING
  -o cleanup_service_name=sender-cleanup
"""

MASTER_CF = f"""\
#
# Services of the mail host.  After an edit: postfix reload
#
# ==========================================================================
# service type  private unpriv  chroot  wakeup  maxproc command + args
#               (yes)   (yes)   (no)    (never) (100)
# ==========================================================================

smtp      inet  n       -       n       -       1       postscreen
smtpd     pass  -       -       n       -       -       smtpd
tlsproxy  unix  -       -       n       -       0       tlsproxy
dnsblog   unix  -       -       n       -       0       dnsblog
submission inet n       -       n       -       -       smtpd
  -o syslog_name=postfix/submission
  -o smtpd_tls_security_level=encrypt
{_SUBMISSION_OPTIONS}
submissions inet n      -       n       -       -       smtpd
  -o syslog_name=postfix/submissions
  -o smtpd_tls_wrappermode=yes
{_SUBMISSION_OPTIONS}
pickup    fifo  n       -       n       60      1       pickup
  -o content_filter=
  -o receive_override_options=no_header_body_checks

# Mail of our own users goes through a cleanup that takes
# traces of their machines out of the header.
sender-cleanup unix n   -       n       -       0       cleanup
  -o syslog_name=postfix/sender-cleanup
  -o header_checks=pcre:/etc/postfix/maps/sender_header_filter.pcre

cleanup   unix  n       -       n       -       0       cleanup
qmgr      unix  n       -       n       300     1       qmgr
tlsmgr    unix  -       -       n       1000?   1       tlsmgr
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
defer     unix  -       -       n       -       0       bounce
trace     unix  -       -       n       -       0       bounce
verify    unix  -       -       n       -       1       verify
flush     unix  n       -       n       1000?   0       flush
proxymap  unix  -       -       n       -       -       proxymap
proxywrite unix -       -       n       -       1       proxymap
smtp      unix  -       -       n       -       -       smtp
relay     unix  -       -       n       -       -       smtp
showq     unix  n       -       n       -       -       showq
error     unix  -       -       n       -       -       error
retry     unix  -       -       n       -       -       error
discard   unix  -       -       n       -       -       discard
local     unix  -       n       n       -       -       local
virtual   unix  -       n       n       -       -       virtual
lmtp      unix  -       -       n       -       -       lmtp
anvil     unix  -       -       n       -       1       anvil
scache    unix  -       -       n       -       1       scache
postlog   unix-dgram n  -       n       -       1       postlogd
"""

AMAVIS = """\

smtp-amavis unix -      -       n       -       2       smtp
    -o syslog_name=postfix/$service_name
    -o smtp_data_done_timeout=1200
    -o smtp_send_xforward_command=yes
    -o max_use=20
    -o smtp_tls_security_level=none

127.0.0.1:10025 inet n  -       n       -       -       smtpd
    -o syslog_name=postfix/smtpd-amavis
    -o content_filter=
    -o local_recipient_maps=
    -o relay_recipient_maps=
    -o smtpd_restriction_classes=
    -o smtpd_delay_reject=no
    -o smtpd_client_restrictions=permit_mynetworks,reject
    -o smtpd_helo_restrictions=
    -o smtpd_sender_restrictions=
    -o smtpd_recipient_restrictions=permit_mynetworks,reject
    -o smtpd_data_restrictions=reject_unauth_pipelining
    -o smtpd_end_of_data_restrictions=
    -o mynetworks=127.0.0.0/8
    -o smtpd_error_sleep_time=0
    -o smtpd_soft_error_limit=1001
    -o smtpd_hard_error_limit=1000
    -o smtpd_client_connection_count_limit=0
    -o smtpd_client_connection_rate_limit=0
    -o receive_override_options=no_header_body_checks,no_unknown_recipient_checks,no_milters
    -o smtpd_tls_security_level=none
"""


# Shorter than a real one, so that tests need not wait for it.
_GREET_WAIT = "postscreen_greet_wait = 1s\n"


def _block_list(zone):
    """What of postscreen's settings changes when it asks a block list.

    The greet wait is also the time that postscreen gives the list to answer: after it a client
    counts as not listed.  Without a teaser (greet_banner) nobody is tested for talking too early,
    and then postscreen goes on as soon as it has the answer, so that the wait can be long.
    """
    return f"""\
postscreen_greet_banner =
postscreen_greet_wait = 60s
postscreen_dnsbl_timeout = 60s
postscreen_dnsbl_sites = {zone}
"""


def main_cf(inet_protocols="all", block_list=None):
    """main.cf; block_list is the zone of one that postscreen asks."""
    return f"""\
compatibility_level = 3.6
smtpd_banner = $myhostname ESMTP
biff = no
append_dot_mydomain = no
readme_directory = no

myhostname = {HOST_NAME}
mydestination = localhost
mynetworks = 127.0.0.0/8 [::1]/128 [fe80::]/64
inet_protocols = {inet_protocols}
alias_maps = hash:/etc/aliases
recipient_delimiter = +
local_recipient_maps =

# TLS
smtpd_tls_chain_files = {KEY} {CERTIFICATE}
smtpd_tls_security_level = may
smtpd_tls_auth_only = yes
smtp_tls_security_level = may

# Log-in, decided by Dovecot
smtpd_sasl_type = dovecot
smtpd_sasl_path = /dev/shm/sasl-auth.sock
smtpd_sasl_auth_enable = yes

# Who may send what where
smtpd_delay_reject = yes
smtpd_helo_required = yes
smtpd_relay_restrictions = permit_mynetworks permit_sasl_authenticated defer_unauth_destination
smtpd_recipient_restrictions = permit_sasl_authenticated, permit_mynetworks,
    reject_unauth_destination
smtpd_client_restrictions = permit_mynetworks, permit_sasl_authenticated, reject_unauth_pipelining
mua_sender_restrictions = permit_sasl_authenticated, reject
disable_vrfy_command = yes

# postscreen
postscreen_dnsbl_action = enforce
postscreen_greet_action = enforce
postscreen_bare_newline_action = enforce
{_block_list(block_list) if block_list else _GREET_WAIT}
# Mailboxes
virtual_mailbox_domains = {DOMAIN}
virtual_mailbox_maps = texthash:/etc/postfix/vmailbox
virtual_mailbox_base = /var/mail
virtual_uid_maps = static:{VMAIL_ID}
virtual_gid_maps = static:{VMAIL_ID}
virtual_transport = virtual

header_checks = pcre:/etc/postfix/maps/header_checks.pcre
"""


POSTFIX_TABLES = {
    "/etc/postfix/vmailbox": f"{USER} {DOMAIN}/alice/\n",
    "/etc/postfix/maps/header_checks.pcre": "/^X-Lab-Reject:/ REJECT\n",
    "/etc/postfix/maps/sender_header_filter.pcre": "/^User-Agent:/ IGNORE\n",
}

_LISTENERS = """\
service imap-login {
  inet_listener imap {
    #port = 143
  }
  inet_listener imaps {
    port = 993
    ssl = yes
  }
}

service pop3-login {
  inet_listener pop3 {
    #port = 110
  }
  inet_listener pop3s {
    port = 995
    ssl = yes
  }
}

service auth {
  unix_listener /dev/shm/sasl-auth.sock {
    mode = 0660
    user = postfix
    group = postfix
  }
}
"""

_DOVECOT_23 = {
    "10-master.conf": _LISTENERS,
    "10-ssl.conf": f"ssl = required\nssl_cert = <{CERTIFICATE}\nssl_key = <{KEY}\n",
    "10-auth.conf": f"""\
auth_mechanisms = plain login
# So that a failed log-in costs a test no seconds: no delay, no penalty for the address.
auth_failure_delay = 0
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN /etc/dovecot/userdb
}}
userdb {{
  driver = static
  args = uid={VMAIL_ID} gid={VMAIL_ID} home=/var/mail/%d/%n
}}
""",
    "10-mail.conf": """\
mail_location = maildir:~
namespace inbox {
  inbox = yes
}
""",
    # Of Dovecot 2.3 only: verbose enough to name the account of a failed log-in.
    "10-logging.conf": "auth_verbose = yes\n",
    "20-managesieve.conf": "service managesieve-login {\n}\n",
}

_DOVECOT_24 = {
    "10-master.conf": _LISTENERS,
    "10-ssl.conf": f"""\
ssl = required
ssl_server_cert_file = {CERTIFICATE}
ssl_server_key_file = {KEY}
""",
    "10-auth.conf": f"""\
auth_mechanisms {{
  plain = yes
  login = yes
}}
# So that a failed log-in costs a test no seconds.
auth_failure_delay = 0
passdb passwd-file {{
  passwd_file_path = /etc/dovecot/userdb
  default_password_scheme = plain
}}
userdb static {{
  fields {{
    uid = {VMAIL_ID}
    gid = {VMAIL_ID}
    home = /var/mail/%{{user | domain}}/%{{user | username}}
  }}
}}
""",
    "10-mail.conf": """\
mail_driver = maildir
mail_path = ~/
namespace inbox {
  inbox = yes
}
""",
    "10-logging.conf": "auth_verbose = yes\n",
}

DOVECOT = {"bookworm": _DOVECOT_23, "trixie": _DOVECOT_24}
DOVECOT_USERS = f"{USER}:{{PLAIN}}{PASSWORD}\n"

POSTERN = """\
trusted-networks = { "10.77.0.0/24", "fd77::/64" }
"""
