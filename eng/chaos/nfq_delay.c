// Delays packets that iptables queued: each by BASE milliseconds and up to JITTER more or less, so they overtake each other.
//   nfq_delay QUEUE BASE JITTER
// When it ends, packets pass as if it had never been there, where the rule says --queue-bypass.
#include <arpa/inet.h>
#include <errno.h>
#include <libnetfilter_queue/libnetfilter_queue.h>
#include <linux/netfilter.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MOST 65536
static struct { long long due; unsigned id; int is_used; } waiting[MOST];
static int count, base, jitter;

static long long now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static int queued(struct nfq_q_handle *queue, struct nfgenmsg *message, struct nfq_data *data, void *unused) {
  (void)message; (void)unused;
  unsigned id = ntohl(nfq_get_msg_packet_hdr(data)->packet_id);
  for (int i = 0; i < MOST; i++) {
    if (!waiting[i].is_used) {
      waiting[i].is_used = 1;
      waiting[i].id = id;
      waiting[i].due = now_us() + base * 1000LL + (jitter ? rand() % (2 * jitter * 1000) - jitter * 1000LL : 0);
      count++;
      return 0;
    }
  }
  return nfq_set_verdict(queue, id, NF_ACCEPT, 0, NULL);
}

int main(int argc, char **argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: nfq_delay QUEUE BASE JITTER\n");
    return 2;
  }
  base = atoi(argv[2]);
  jitter = atoi(argv[3]);
  struct nfq_handle *handle = nfq_open();
  struct nfq_q_handle *queue = handle ? nfq_create_queue(handle, atoi(argv[1]), queued, NULL) : NULL;
  if (!queue) {
    perror("nfq_create_queue");
    return 1;
  }
  nfq_set_mode(queue, NFQNL_COPY_META, 0);
  nfq_set_queue_maxlen(queue, MOST - 1);
  int fd = nfq_fd(handle);
  char buffer[65536];
  for (;;) {
    struct pollfd ready = {fd, POLLIN, 0};
    poll(&ready, 1, count ? 1 : 1000);
    if (ready.revents & POLLIN) {
      int size = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
      if (size > 0) nfq_handle_packet(handle, buffer, size);
    }
    long long now = now_us();
    for (int i = 0, left = count; i < MOST && left > 0; i++) {
      if (!waiting[i].is_used) continue;
      left--;
      if (waiting[i].due > now) continue;
      nfq_set_verdict(queue, waiting[i].id, NF_ACCEPT, 0, NULL);
      waiting[i].is_used = 0;
      count--;
    }
  }
}
