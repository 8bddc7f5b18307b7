/* SPDX-License-Identifier: MIT */
/*
 * settings_file - the keys of postern.conf(5): their syntax, defaults, ranges.
 *
 * libconfuse hands its error function no context, so the first error of a load
 * is kept in a static pointer; loads do not overlap, the program has one
 * thread.
 */
#include "settings_file.h"

#include "headroom.h"
#include "patchers/base/buf.h"
#include "patchers/base/cleanup.h"
#include "patchers/base/error.h"
#include "patchers/cidr.h"
#include "patchers/dovecot_in_force.h"
#include "settings_text.h"
#include "sockaddr_text.h"

#include <confuse.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

enum { LISTENER_NAME_MAX = 32 };

/*
 * What libconfuse may need: its keys and its scanner, and by the text's length; an empty block of
 * 13 bytes makes a copy of all its keys.
 */
#define HEADROOM_BYTES (256UL * 1024)
#define HEADROOM_BYTES_A_BYTE 256UL

static cfg_opt_t postfix_listener_keys[] = {
	CFG_INT("port", 0, CFGF_NODEFAULT),
	CFG_BOOL("enable", cfg_true, CFGF_NONE),
	CFG_BOOL("trust-mynetworks", cfg_false, CFGF_NONE),
	CFG_BOOL("adopt", cfg_false, CFGF_NONE),
	CFG_END(),
};

static cfg_opt_t dovecot_listener_keys[] = {
	CFG_INT("port", 0, CFGF_NODEFAULT),
	CFG_BOOL("enable", cfg_true, CFGF_NONE),
	CFG_BOOL("adopt", cfg_false, CFGF_NONE),
	CFG_END(),
};

static cfg_opt_t postfix_keys[] = {
	CFG_BOOL("enable", cfg_true, CFGF_NONE),
	CFG_STR("config-directory", "/etc/postfix", CFGF_NONE),
	CFG_SEC("listener", postfix_listener_keys, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
	CFG_END(),
};

static cfg_opt_t dovecot_keys[] = {
	CFG_BOOL("enable", cfg_true, CFGF_NONE),
	CFG_STR("config-directory", "/etc/dovecot", CFGF_NONE),
	CFG_SEC("listener", dovecot_listener_keys, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
	CFG_END(),
};

static cfg_opt_t override_keys[] = {
	CFG_BOOL("enable", cfg_true, CFGF_NONE),
	CFG_END(),
};

static cfg_opt_t watch_keys[] = {
	CFG_STR_LIST("reload", NULL, CFGF_NONE),
	CFG_END(),
};

/* Set by ourselves after the last line, see parse_text(). */
#define END_OF_FILE_KEY "postern-end-of-file"

static cfg_opt_t top_keys[] = {
	CFG_BOOL(END_OF_FILE_KEY, cfg_false, CFGF_NONE),
	CFG_STR_LIST("trusted-networks", NULL, CFGF_NODEFAULT),
	CFG_BOOL("allow-any-network", cfg_false, CFGF_NONE),
	CFG_INT("port-offset", SETTINGS_PORT_OFFSET, CFGF_NONE),
	CFG_STR("mode", "separate", CFGF_NONE),
	CFG_STR("gate", "auto", CFGF_NONE),
	CFG_INT("resync", 60, CFGF_NONE),
	CFG_STR("listen", "", CFGF_NONE),
	CFG_SEC("postfix", postfix_keys, CFGF_NONE),
	CFG_SEC("dovecot", dovecot_keys, CFGF_NONE),
	CFG_SEC("overrides", override_keys, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
	CFG_SEC("watch", watch_keys, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
	CFG_END(),
};

/* ---- errors ---- */

static struct error *load_error;    /* where libconfuse's message goes */
static const char *load_path;       /* sections do not all know their file */
static int load_lines;              /* of the file */
static int networks_line;           /* of trusted-networks; 0: not given */
static const char *blocks_given[2]; /* "postfix", "dovecot" */

/* Where libconfuse is, or was at the file's end: behind it stands what is ours. */
static int line_in_file(const cfg_t *cfg)
{
	int line = cfg ? cfg->line : 0;

	return line < load_lines ? line : load_lines;
}

static void keep_first_error(cfg_t *cfg, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));

static void keep_first_error(cfg_t *cfg, const char *fmt, va_list ap)
{
	char text[ERROR_MSG_MAX];
	int line;

	if (!load_error || load_error->code != 0)
		return;
	vsnprintf(text, sizeof(text), fmt, ap);
	if (cfg && cfg->line > load_lines && strstr(text, "'" END_OF_FILE_KEY "'"))
		snprintf(text, sizeof(text), "missing '}': block \"%s\" is not closed", cfg->name);
	line = line_in_file(cfg);
	if (line > 0)
		error_set(load_error, -EINVAL, "%s:%d: %s", load_path, line, text);
	else
		error_set(load_error, -EINVAL, "%s: %s", load_path, text);
}

/* ---- validators: called while the line of the value is known ---- */

static bool is_absolute_path(const char *path)
{
	for (const char *p = path; *p; p++)
		if (iscntrl((unsigned char)*p))
			return false;
	return path[0] == '/' && strlen(path) < SETTINGS_PATH_MAX;
}

static int check_port(cfg_t *cfg, cfg_opt_t *opt)
{
	long port = cfg_opt_getnint(opt, cfg_opt_size(opt) - 1);

	if (port >= 1 && port <= UINT16_MAX)
		return 0;
	cfg_error(cfg, "%s = %ld: a port is a number from 1 to 65535", opt->name, port);
	return -1;
}

static int check_offset(cfg_t *cfg, cfg_opt_t *opt)
{
	long offset = cfg_opt_getnint(opt, cfg_opt_size(opt) - 1);

	if (offset >= 1 && offset < UINT16_MAX)
		return 0;
	cfg_error(cfg, "%s = %ld: wanted a number from 1 to 65534", opt->name, offset);
	return -1;
}

static int check_seconds(cfg_t *cfg, cfg_opt_t *opt)
{
	long seconds = cfg_opt_getnint(opt, cfg_opt_size(opt) - 1);

	if (seconds >= 0 && seconds <= 86400)
		return 0;
	cfg_error(cfg, "%s = %ld: wanted seconds from 0 to 86400", opt->name, seconds);
	return -1;
}

static int check_directory(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *path = cfg_opt_getnstr(opt, cfg_opt_size(opt) - 1);

	if (path && is_absolute_path(path))
		return 0;
	cfg_error(cfg, "%s = \"%s\": not an absolute path", opt->name, path ? path : "");
	return -1;
}

/* Only after the file's last line, where we put it ourselves. */
static int check_end_of_file(cfg_t *cfg, cfg_opt_t *opt)
{
	if (cfg->line > load_lines)
		return 0;
	cfg_error(cfg, "no such option '%s'", opt->name);
	return -1;
}

static int check_word(cfg_t *cfg, cfg_opt_t *opt, const char *const *words)
{
	const char *value = cfg_opt_getnstr(opt, cfg_opt_size(opt) - 1);
	cleanup_buf struct buf known = BUF_INIT;

	for (size_t i = 0; words[i]; i++) {
		if (value && strcmp(value, words[i]) == 0)
			return 0;
		buf_add_format(&known, "%s\"%s\"", i > 0 ? ", " : "", words[i]);
	}
	cfg_error(cfg, "%s = \"%s\": wanted one of %s", opt->name, value ? value : "",
		  buf_text(&known));
	return -1;
}

static const char *const modes[] = { "separate", "in-place", NULL };
const char *const settings_file_gates[] = { "auto", "require", "off", NULL };
static const char *const reloads[] = { "postfix", "dovecot", NULL };

static int check_mode(cfg_t *cfg, cfg_opt_t *opt)
{
	return check_word(cfg, opt, modes);
}

static int check_gate(cfg_t *cfg, cfg_opt_t *opt)
{
	return check_word(cfg, opt, settings_file_gates);
}

static int check_reload(cfg_t *cfg, cfg_opt_t *opt)
{
	return check_word(cfg, opt, reloads);
}

/* "address:port" of the status endpoint; empty: none. */
static int check_endpoint(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *value = cfg_opt_getnstr(opt, cfg_opt_size(opt) - 1);
	struct sockaddr_storage address;

	if (value && value[0] == '\0')
		return 0;
	if (value && strlen(value) < SETTINGS_ENDPOINT_MAX &&
	    sockaddr_text_parse_with_port(value, &address) > 0)
		return 0;
	cfg_error(cfg, "%s = \"%s\": wanted \"address:port\"", opt->name, value ? value : "");
	return -1;
}

static int check_network(cfg_t *cfg, cfg_opt_t *opt)
{
	struct error why = { 0 };

	networks_line = cfg->line;
	for (unsigned i = 0; i < cfg_opt_size(opt); i++) {
		const char *text = cfg_opt_getnstr(opt, i);
		struct cidr net;

		if (cidr_parse(span_from(text ? text : ""), &net, NULL, &why) < 0) {
			cfg_error(cfg, "%s: %s", opt->name, why.msg);
			return -1;
		}
	}
	return 0;
}

static bool listener_name_is_good(const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)name[i]) && name[i] != '_' && name[i] != '-')
			return false;
	return n > 0 && n <= LISTENER_NAME_MAX;
}

static int check_postfix_listener(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *name = cfg_title(cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1));

	if (listener_name_is_good(name))
		return 0;
	cfg_error(cfg, "listener \"%s\": wanted the name or number of a port", name);
	return -1;
}

static const struct dovecot_stock *find_stock(const char *name)
{
	for (size_t i = 0; i < dovecot_n_stocks; i++)
		if (strcmp(dovecot_stocks[i].name, name) == 0)
			return &dovecot_stocks[i];
	return NULL;
}

static int check_dovecot_listener(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *name = cfg_title(cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1));

	if (find_stock(name))
		return 0;
	cfg_error(cfg, "listener \"%s\": Dovecot's are imap, imaps, pop3, pop3s, sieve", name);
	return -1;
}

/* libconfuse would take the second block and forget the first. */
static int check_once(cfg_t *cfg, cfg_opt_t *opt)
{
	size_t i = blocks_given[0] ? 1 : 0;

	if (!blocks_given[0] || (!blocks_given[1] && strcmp(blocks_given[0], opt->name) != 0)) {
		blocks_given[i] = opt->name;
		return 0;
	}
	cfg_error(cfg, "block \"%s\" is given twice", opt->name);
	return -1;
}

static int check_title_path(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *title = cfg_title(cfg_opt_getnsec(opt, cfg_opt_size(opt) - 1));

	if (is_absolute_path(title))
		return 0;
	cfg_error(cfg, "%s \"%s\": not an absolute path", opt->name, title);
	return -1;
}

static const struct {
	const char *key;
	cfg_validate_callback_t check;
} validators[] = {
	{ END_OF_FILE_KEY, check_end_of_file },
	{ "trusted-networks", check_network },
	{ "port-offset", check_offset },
	{ "mode", check_mode },
	{ "gate", check_gate },
	{ "resync", check_seconds },
	{ "listen", check_endpoint },
	{ "postfix", check_once },
	{ "dovecot", check_once },
	{ "postfix|config-directory", check_directory },
	{ "dovecot|config-directory", check_directory },
	{ "postfix|listener|port", check_port },
	{ "dovecot|listener|port", check_port },
	{ "postfix|listener", check_postfix_listener },
	{ "dovecot|listener", check_dovecot_listener },
	{ "overrides", check_title_path },
	{ "watch", check_title_path },
	{ "watch|reload", check_reload },
};

/*
 * libconfuse takes the end of the file for the end of a block.  So one more
 * key follows the file's last line, which only the top level knows.
 */
static int parse_text(cfg_t *cfg, const char *text)
{
	cleanup_free char *whole = NULL;
	FILE *file;
	int rc;

	if (asprintf(&whole, "%s\n%s = true\n", text, END_OF_FILE_KEY) < 0) {
		whole = NULL;
		return CFG_FILE_ERROR;
	}
	settings_text_blank_comments(whole);
	/* Not cfg_parse_buf(): it would forget the file's name. */
	file = fmemopen(whole, strlen(whole), "r");
	if (!file)
		return CFG_FILE_ERROR;
	rc = cfg_parse_fp(cfg, file);
	fclose(file);
	return rc;
}

static cfg_t *start(const char *path, const char *text, struct error *why)
{
	cfg_t *cfg = cfg_init(top_keys, CFGF_NONE);

	for (size_t i = 0; cfg && i < sizeof(validators) / sizeof(validators[0]); i++)
		cfg_set_validate_func(cfg, validators[i].key, validators[i].check);
	if (cfg)
		cfg_set_error_function(cfg, keep_first_error);
	load_path = path;
	load_lines = 0;
	for (const char *at = text; *at; at++)
		load_lines += *at == '\n' || at[1] == '\0';
	load_error = why;
	networks_line = 0;
	blocks_given[0] = blocks_given[1] = NULL;
	return cfg;
}

static int text_error(const char *path, const char *text, const char *at, const char *why,
		      struct error *err)
{
	unsigned line = 1;

	for (const char *p = text; p < at; p++)
		line += *p == '\n';
	return error_set(err, -EINVAL, "%s:%u: %s", path, line, why);
}

int settings_file_parse(const char *path, const char *text, struct cfg_t **out, struct error *err)
{
	struct error why = { 0 };
	const char *what, *misread = settings_text_find_misread(text, &what);
	cfg_t *cfg;
	int rc;

	if (misread)
		return text_error(path, text, misread, what, err);
	rc = headroom_make(HEADROOM_BYTES + strlen(text) * HEADROOM_BYTES_A_BYTE, err);
	if (rc < 0)
		return rc;
	cfg = start(path, text, &why);
	if (!cfg)
		return error_set(err, -ENOMEM, "out of memory");
	rc = parse_text(cfg, text);
	load_error = NULL;
	if (rc == CFG_SUCCESS && cfg_getbool(cfg, END_OF_FILE_KEY)) {
		*out = cfg;
		return 0;
	}
	if (rc == CFG_SUCCESS)
		rc = error_set(err, -EINVAL, "%s:%d: missing \"*/\": a comment is not closed", path,
			       line_in_file(cfg));
	else if (rc == CFG_FILE_ERROR) /* the text is in memory: that ran out */
		rc = error_set(err, -ENOMEM, "out of memory");
	else if (why.code == 0) /* not every mistake is worth a word to libconfuse */
		rc = error_set(err, -EINVAL, "%s:%d: syntax error", path, line_in_file(cfg));
	else
		rc = error_set(err, -EINVAL, "%s", why.msg);
	cfg_free(cfg);
	return rc;
}

int settings_file_check(const char *path, const char *text, size_t len, bool is_own,
			struct error *err)
{
	const char *nul = memchr(text, '\0', len);
	const char *name = nul || is_own ? NULL : strstr(text, "${");

	if (nul)
		return text_error(path, text, nul, "a NUL byte", err);
	if (name)
		return text_error(path, text, name,
				  "\"${\": the environment is not for a file of another root; give "
				  "one of our own by --config",
				  err);
	return 0;
}

unsigned settings_file_networks_line(void)
{
	return (unsigned)networks_line;
}
