# SPDX-License-Identifier: MIT
"""supervisord(8) as docker-mailserver has it."""
CONFIG = "/etc/supervisor/supervisord.conf"
LOG = "/var/log/supervisor/supervisord.log"
# The file's first part; the programs follow.
MAIN = f"""
[unix_http_server]
file = /dev/shm/supervisor.sock
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl = unix:///dev/shm/supervisor.sock
[supervisord]
user = root
nodaemon = true
logfile = {LOG}
pidfile = /run/supervisord.pid
"""
