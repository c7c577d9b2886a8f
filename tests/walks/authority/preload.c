/* What somebody has who gets a library of theirs into a process of this user: whenever it writes and when
 * it ends, the whole of its memory is searched for what is in the file $NEEDLES (by colons); finds go to $FOUND. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define SIZE (1 << 20)

static char list[4096], found[4096], *needles[16];
static int count;
/* One search at a time: they share the page, and what one thread read of this library's own list would be a find
 * of another's, which was somewhere else. */
static pthread_mutex_t alone = PTHREAD_MUTEX_INITIALIZER;

static void forked(void) { pthread_mutex_init(&alone, NULL); }

static void look(const char *when, const char *page, size_t length, unsigned long from) {
  for (int n = 0; n < count; n++) {
    size_t size = strlen(needles[n]);
    for (const char *at = page; (at = memmem(at, length - (at - page), needles[n], size)); at++) {
      /* The list of this library is no find. */
      unsigned long where = from + (at - page);
      if (where >= (unsigned long)list && where < (unsigned long)list + sizeof list) continue;
      FILE *out = fopen(found, "a");
      if (out) { fprintf(out, "%s: needle %d\n", when, n); fclose(out); }
      break;
    }
  }
}

static void search(const char *when) {
  static char page[SIZE];
  FILE *maps = fopen("/proc/self/maps", "r");
  char line[4096], mode[5];
  unsigned long from, to;
  pthread_mutex_lock(&alone);
  while (maps && fgets(line, sizeof line, maps)) {
    if (sscanf(line, "%lx-%lx %4s", &from, &to, mode) != 3 || mode[1] != 'w') continue;
    for (; from < to; from += SIZE - 256) {
      /* Nor is what was read already. */
      if (from < (unsigned long)page + SIZE && from + SIZE > (unsigned long)page) continue;
      struct iovec here = {page, to - from < SIZE ? to - from : SIZE}, there = {(void *)from, here.iov_len};
      ssize_t read = process_vm_readv(getpid(), &here, 1, &there, 1, 0);
      if (read > 0) look(when, page, read, from);
    }
  }
  pthread_mutex_unlock(&alone);
  if (maps) fclose(maps);
}

__attribute__((constructor)) static void begin(void) {
  pthread_atfork(NULL, NULL, forked);
  int file = open(getenv("NEEDLES") ? getenv("NEEDLES") : "", O_RDONLY);
  if (file >= 0 && read(file, list, sizeof list - 1) > 0)
    for (char *rest, *one = strtok_r(list, ":", &rest); one && count < 16; one = strtok_r(NULL, ":", &rest)) needles[count++] = one;
  if (file >= 0) close(file);
  if (getenv("FOUND")) strncpy(found, getenv("FOUND"), sizeof found - 1);
  FILE *out = fopen(found, "a");
  if (out) { fprintf(out, "loaded\n"); fclose(out); }
}

ssize_t write(int fd, const void *bytes, size_t length) {
  static __thread int inside;
  if (!inside) {
    inside = 1;
    search("when it writes");
    inside = 0;
  }
  return syscall(SYS_write, fd, bytes, length);
}

__attribute__((destructor)) static void end(void) { search("at its end"); }
