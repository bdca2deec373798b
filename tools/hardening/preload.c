/*
 * preload.c - for a server under a preloaded libasan: gettext without its lock.
 *
 * Debian's postgres calls bindtextdomain() before anything else, and with
 * libasan in front of libc it waits there for ever.  A server that is being
 * fuzzed needs no translations.
 */
extern char *bindtextdomain(const char *domain, const char *directory);
extern char *bind_textdomain_codeset(const char *domain, const char *codeset);
extern char *textdomain(const char *domain);

char *
bindtextdomain(const char *domain, const char *directory)
{
	(void) domain;
	return (char *) directory;
}

char *
bind_textdomain_codeset(const char *domain, const char *codeset)
{
	(void) domain;
	return (char *) codeset;
}

char *
textdomain(const char *domain)
{
	return (char *) domain;
}
