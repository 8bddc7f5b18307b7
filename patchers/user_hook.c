/* SPDX-License-Identifier: MIT */
/* user_hook - the hook's text. */
#include "user_hook.h"

#include "base/buf.h"

/* By this ours are known: no version may change it. */
#define HEAD                                                                                       \
	"#!/bin/bash\n"                                                                            \
	"# This file is postern's: every \"postern install\" writes it anew, edits are lost.\n"

#define PURPOSE                                                                                    \
	"#\n"                                                                                      \
	"# docker-mailserver runs it at the end of its set-up, before any server runs.  It "       \
	"makes\n"                                                                                  \
	"# the twins, and runs your own script, which is looked for where own_scripts says.\n"     \
	"\n"

static const char body[] =
	"status=0\n"
	"has_run=''\n"
	"\n"
	"say() {\n"
	"\tprintf 'postern: user-patches.sh: %s\\n' \"$*\" >&2\n"
	"}\n"
	"\n"
	"make_twins() {\n"
	"\tlocal code\n"
	"\t\"$folder/" USER_HOOK_PROGRAM_NAME "\" \"${options[@]}\" patch && return\n"
	"\tcode=$?\n"
	"\tsay \"'postern patch' failed with status $code: see above\"\n"
	"\tstatus=1\n"
	"}\n"
	"\n"
	"# run_own PATH: a script, or a folder that holds one.  There need not be any.\n"
	"run_own() {\n"
	"\tlocal script=$1 code\n"
	"\t[[ ! -d $script ]] || script=${script%/}/" USER_HOOK_NAME "\n"
	"\t[[ -e $script || -L $script ]] || return\n"
	"\tif [[ ! -f $script ]]; then\n"
	"\t\tsay \"$script is no file, or a link that leads nowhere\"\n"
	"\t\tstatus=1\n"
	"\t\treturn\n"
	"\tfi\n"
	"\t# Both names may lead to one file.\n"
	"\t[[ ! $script -ef $has_run ]] || return\n"
	"\thas_run=$script\n"
	"\tPOSTERN_USER_PATCHES=running /bin/bash \"$script\" && return\n"
	"\tcode=$?\n"
	"\tsay \"$script failed with status $code\"\n"
	"\tstatus=1\n"
	"}\n"
	"\n"
	"# One of the names may lead back to this file.\n"
	"if [[ -n ${POSTERN_USER_PATCHES:-} ]]; then\n"
	"\tsay \"was called by itself, and does nothing\"\n"
	"\texit 0\n"
	"fi\n"
	"if [[ -e $folder/" USER_HOOK_PROGRAM_NAME " ]]; then\n"
	"\tmake_twins\n"
	"else\n"
	"\tsay \"$folder/" USER_HOOK_PROGRAM_NAME
	" is not there, so no twins are made: mount the volume that\" \\\n"
	"\t\t\"'postern install' filled at ${folder:-/} in this container, too\"\n"
	"\tstatus=1\n"
	"fi\n"
	"for script in \"${own_scripts[@]}\"; do\n"
	"\trun_own \"$script\"\n"
	"done\n"
	"# They may have edited what the twins have to follow.\n"
	"if [[ -n $has_run && -e $folder/" USER_HOOK_PROGRAM_NAME " ]]; then\n"
	"\tmake_twins\n"
	"fi\n"
	"exit \"$status\"\n";

bool user_hook_takes_path(const char *path)
{
	if (path[0] != '/')
		return false;
	for (const char *c = path; *c; c++)
		if ((unsigned char)*c < ' ' || *c == '\177')
			return false;
	return true;
}

/* In single quotes the shell takes every byte as it stands, but for the quote itself. */
static void add_quoted(struct buf *out, struct span path)
{
	buf_add_char(out, '\'');
	for (size_t i = 0; i < path.len; i++) {
		if (path.data[i] == '\'')
			buf_add_text(out, "'\\'");
		buf_add_char(out, path.data[i]);
	}
	buf_add_char(out, '\'');
}

int user_hook_render(const struct user_hook *hook, struct buf *out, struct error *err)
{
	struct span folder = span_from(hook->folder);

	buf_add_text(out, HEAD PURPOSE "folder=");
	while (folder.len > 0 && folder.data[folder.len - 1] == '/')
		folder.len--; /* "$folder/postern" is what is run */
	add_quoted(out, folder);
	buf_add_text(out, "\noptions=(");
	if (hook->config) {
		buf_add_text(out, "--config ");
		add_quoted(out, span_from(hook->config));
	}
	buf_add_text(out, ")\nown_scripts=(\"$folder/" USER_HOOK_OWN_NAME "\"");
	if (hook->user_patches) {
		buf_add_char(out, ' ');
		add_quoted(out, span_from(hook->user_patches));
	}
	buf_add_text(out, ")\n");
	buf_add_text(out, body);
	return buf_check(out, err);
}

bool user_hook_is_ours(struct span script)
{
	return span_starts(script, HEAD);
}
