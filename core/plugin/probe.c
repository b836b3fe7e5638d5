/* probe.c - the child's half (load, init, reading, fini, telling its stage through a pipe) and the parent's (start, wait with a
 * limit, name the cause). What the child says last before it dies tells where it died. No verdicts are kept here.
 * Contract: probe.h. */
#include "core/plugin/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/base/str.h"
#include "core/plugin/contents.h"
#include "core/plugin/host.h"
#include "core/plugin/load.h"
#include "core/plugin/trace.h"

#define PROBE_ARG "--tenon-probe"
#define PROBE_FD 3
#define EXECUTABLE "/proc/self/exe"

/* Did this executable's main call tn_probe_main? */
static _Atomic bool can_exec;

/* ---- the child ---------------------------------------------------------------------------------------------- */

/* Regions run at once, by one thread: enough for an init, and nothing is left running when it fails. */
static uint32_t one_thread(void *ctx)
{
    (void)ctx;
    return 1;
}

static int32_t run_region(void *ctx, void (*fn)(void *arg, uint32_t i, uint32_t n), void *arg, void (*done)(void *arg))
{
    (void)ctx;
    fn(arg, 0, 1);
    if (done != NULL)
        done(arg);
    return TENON_OK;
}

static void no_barrier(void *ctx)
{
    (void)ctx;
}

static const struct tenon_threads inline_threads = {.struct_size = sizeof inline_threads, .count = one_thread,
                                                    .submit = run_region, .barrier = no_barrier};

static void tell(int fd, const char *fmt, ...) TENON_PRINTF(2, 3);
static void tell(int fd, const char *fmt, ...)
{
    char line[256];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    if (n > 0 && write(fd, line, n < (int)sizeof line ? (size_t)n : sizeof line - 1) < 0)
        _exit(1); /* the parent is gone: nobody wants to know */
}

/* Load, init, read, fini. 0, or 1 on an orderly failure. */
static int contact(int fd, const char *path, const struct tn_map *settings)
{
    static struct tn_descriptor d; /* static: outlives every thread a plugin may have started */
    static struct tn_services services;
    static struct tn_host host;
    struct tenon_err err = TENON_ERR_INIT;
    void *self = NULL;
    tell(fd, "while it was loaded\n");
    int32_t rc = tn_load_open(path, &d, &err);
    if (rc == TENON_OK)
        rc = tn_services_set(&services, TENON_THREADS_SERVICE, &inline_threads, &err);
    if (rc == TENON_OK) {
        tell(fd, "in init\n");
        tn_host_init(&host, &d, settings, &services);
        rc = tn_load_init(path, &d, &host, &self, &err);
    }
    if (rc != TENON_OK) {
        tn_trace("probe: %s", err.message);
        tell(fd, "failed\n");
        return 1;
    }
    tell(fd, "while its encodings were read: is an array shorter than they say?\n");
    tn_contents_read(&d);
    tell(fd, "in fini\n");
    if (d.plugin.fini != NULL)
        d.plugin.fini(self);
    tell(fd, "ok %.128s %.64s\n", d.plugin.id, d.plugin.version);
    return 0;
}

/* A crash must look like one to the parent, whatever handlers a sanitizer or an application installed. */
static void expose_crashes(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGTERM, SIGPIPE};
    const struct rlimit none = {0, 0};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        (void)signal(signals[i], SIG_DFL); /* valid signal numbers: cannot fail */
    (void)setrlimit(RLIMIT_CORE, &none);          /* best effort: a core file would be litter */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);       /* best effort */
}

static int read_settings(int argc, char **argv, struct tn_map *settings)
{
    for (int i = 0; i < argc; i++) {
        char *equals = strchr(argv[i], '=');
        if (equals == NULL || tn_map_put(settings, argv[i], (uint64_t)(equals - argv[i]), equals + 1) != TENON_OK)
            return 1;
    }
    return 0;
}

int tn_probe_main(int argc, char **argv)
{
    static struct tn_map settings; /* values: borrowed from argv */
    atomic_store(&can_exec, true);
    if (argc < 3 || strcmp(argv[1], PROBE_ARG) != 0)
        return -1;
    (void)fcntl(PROBE_FD, F_SETFD, FD_CLOEXEC); /* children of a plugin must not keep the parent waiting */
    expose_crashes();
    if (read_settings(argc - 3, argv + 3, &settings) != 0)
        _exit(1);
    _exit(contact(PROBE_FD, argv[2], &settings)); /* no atexit handlers, no destructors of the plugin */
}

/* ---- starting it -------------------------------------------------------------------------------------------- */

/* --tenon-probe PATH KEY=VALUE...  OWN: caller frees items by strlist_finish; items[n] is NULL. */
static int32_t make_arguments(const char *path, const struct tn_map *settings, struct tn_strlist *ret)
{
    int32_t rc = tn_strlist_add(ret, "tenon");
    if (rc == TENON_OK)
        rc = tn_strlist_add(ret, PROBE_ARG);
    if (rc == TENON_OK)
        rc = tn_strlist_add(ret, path);
    for (uint32_t i = 0; settings != NULL && rc == TENON_OK && i < settings->n; i++) {
        char *pair = tn_str_printf("%s=%s", settings->entries[i].key, (const char *)settings->entries[i].value);
        rc = pair != NULL ? tn_strlist_add(ret, pair) : TENON_E_RESOURCE_EXHAUSTED;
        free(pair);
    }
    if (rc == TENON_OK)
        rc = tn_strlist_add(ret, ""); /* makes room for the NULL */
    if (rc != TENON_OK)
        return rc;
    free(ret->items[--ret->n]);
    ret->items[ret->n] = NULL;
    return TENON_OK;
}

static int spawn(char *const *argv, int pipe_fd, pid_t *ret_pid)
{
    posix_spawn_file_actions_t actions;
    int error = posix_spawn_file_actions_init(&actions);
    if (error != 0)
        return error;
    error = posix_spawn_file_actions_adddup2(&actions, pipe_fd, PROBE_FD); /* onto itself: clears CLOEXEC */
    if (error == 0)
        error = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (error == 0)
        error = posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    if (error == 0 && !tn_trace_on())
        error = posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    if (error == 0)
        error = posix_spawn(ret_pid, EXECUTABLE, &actions, NULL, argv, environ);
    (void)posix_spawn_file_actions_destroy(&actions); /* frees memory only */
    return error;
}

static int32_t start_exec(const char *path, const struct tn_map *settings, int pipe_fd, pid_t *ret_pid,
                          struct tenon_err *err)
{
    struct tn_strlist argv = {0};
    int32_t rc = make_arguments(path, settings, &argv);
    if (rc != TENON_OK) {
        rc = tenon_fail(err, rc, "", "%s: cannot be probed: out of memory", path);
    } else {
        int error = spawn(argv.items, pipe_fd, ret_pid);
        if (error != 0)
            rc = tenon_fail(err, TENON_E_UNKNOWN, "", "%s: cannot be probed: no child process: %s", path, strerror(error));
    }
    tn_strlist_finish(&argv);
    return rc;
}

static int32_t start_fork(const char *path, const struct tn_map *settings, int pipe_fd, pid_t *ret_pid,
                          struct tenon_err *err)
{
    pid_t pid = fork();
    if (pid < 0)
        return tenon_fail(err, TENON_E_UNKNOWN, "", "%s: cannot be probed: no child process: %s", path, strerror(errno));
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);
        expose_crashes();
        if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
            (!tn_trace_on() && dup2(null, STDERR_FILENO) < 0))
            _exit(1);
        _exit(contact(pipe_fd, path, settings));
    }
    *ret_pid = pid;
    return TENON_OK;
}

/* ---- waiting for it ----------------------------------------------------------------------------------------- */

static int64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* always there */
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Everything the child says until it ends, into text[capacity] with a NUL; false: the time was over first. */
static bool listen(int fd, int64_t deadline, char *text, size_t capacity)
{
    size_t n = 0;
    text[0] = '\0';
    while (n + 1 < capacity) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int64_t left = deadline - now_ms();
        if (left <= 0)
            return false;
        int ready = poll(&p, 1, (int)left);
        if (ready < 0 && errno != EINTR)
            return true;
        if (ready <= 0)
            continue;
        ssize_t got = read(fd, text + n, capacity - 1 - n);
        if (got == 0)
            return true;
        if (got > 0)
            text[n += (size_t)got] = '\0';
    }
    return true;
}

/* Collect the child, killing it when the time is over. Its wait status, or -1 when someone else collected it. */
static int collect(pid_t pid, int64_t deadline, bool *in_time)
{
    const struct timespec pause = {0, 1000000};
    int status;
    for (;;) {
        pid_t got = waitpid(pid, &status, *in_time ? WNOHANG : 0);
        if (got == pid)
            return status;
        if (got < 0 && errno != EINTR)
            return -1;
        if (*in_time && now_ms() >= deadline) {
            *in_time = false;
            (void)kill(pid, SIGKILL); /* our own uncollected child: it exists */
        }
        if (*in_time)
            (void)nanosleep(&pause, NULL); /* shorter is fine */
    }
}

/* The last whole line of what the child said, in place. */
static char *last_line(char *text)
{
    size_t n = strlen(text);
    if (n > 0 && text[n - 1] == '\n')
        text[n - 1] = '\0';
    char *at = strrchr(text, '\n');
    return at != NULL ? at + 1 : text;
}

static void judge(char *text, int status, bool in_time, bool forked, int milliseconds, struct tn_probe *ret)
{
    const char *said = last_line(text);
    *ret = (struct tn_probe){.outcome = TN_PROBE_BAD};
    if (!in_time) {
        (void)snprintf(ret->reason, sizeof ret->reason, "hung for %g s %.100s", milliseconds / 1000.0, said);
        if (forked)
            ret->outcome = TN_PROBE_FAILED;
    } else if (sscanf(said, "ok %128s %64[^\n]", ret->id, ret->version) == 2) {
        ret->outcome = TN_PROBE_GOOD;
    } else if (strcmp(said, "failed") == 0) {
        ret->outcome = TN_PROBE_FAILED;
    } else if (status != -1 && WIFSIGNALED(status)) {
        const char *name = sigabbrev_np(WTERMSIG(status));
        (void)snprintf(ret->reason, sizeof ret->reason, "crashed (SIG%s) %.100s", name != NULL ? name : "?", said);
    } else {
        (void)snprintf(ret->reason, sizeof ret->reason, "ended the process (exit code %d) %.100s",
                       status != -1 && WIFEXITED(status) ? WEXITSTATUS(status) : -1, said);
    }
}

int32_t tn_probe_run_for(const char *path, const struct tn_map *settings, int milliseconds, struct tn_probe *ret,
                         struct tenon_err *err)
{
    int fds[2];
    pid_t pid = 0;
    char text[512];
    bool forked = !atomic_load(&can_exec) || access(EXECUTABLE, X_OK) != 0; /* no /proc: nothing to start afresh */
    int64_t deadline = now_ms() + milliseconds;
    tn_trace("probe %s in a %s child", path, forked ? "forked" : "fresh");
    if (pipe2(fds, O_CLOEXEC) != 0)
        return tenon_fail(err, TENON_E_RESOURCE_EXHAUSTED, "", "%s: cannot be probed: no pipe: %s", path, strerror(errno));
    int32_t rc = forked ? start_fork(path, settings, fds[1], &pid, err) : start_exec(path, settings, fds[1], &pid, err);
    (void)close(fds[1]); /* the child's end */
    if (rc == TENON_OK) {
        bool in_time = listen(fds[0], deadline, text, sizeof text);
        if (!in_time)
            (void)kill(pid, SIGKILL); /* our own uncollected child: it exists */
        int status = collect(pid, deadline, &in_time);
        judge(text, status, in_time, forked, milliseconds, ret);
    }
    (void)close(fds[0]);
    return rc;
}

int32_t tn_probe_run(const char *path, const struct tn_map *settings, struct tn_probe *ret, struct tenon_err *err)
{
    return tn_probe_run_for(path, settings, TN_PROBE_SECONDS * 1000, ret, err);
}
