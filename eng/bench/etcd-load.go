// gRPC load for a three-node etcd: -e ENDPOINTS -c CLIENTS -d DURATION -s VALUE_BYTES -r (reads)
package main

import (
	"context"
	"flag"
	"fmt"
	"go.etcd.io/etcd/clientv3"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

func main() {
	eps := flag.String("e", "127.0.0.1:12379", "")
	n := flag.Int("c", 64, "")
	d := flag.Duration("d", 10*time.Second, "")
	sz := flag.Int("s", 256, "")
	conns := flag.Int("conns", 4, "")
	rd := flag.Bool("r", false, "")
	flag.Parse()
	var cs []*clientv3.Client
	for i := 0; i < *conns; i++ {
		c, err := clientv3.New(clientv3.Config{Endpoints: strings.Split(*eps, ","), DialTimeout: 5 * time.Second})
		if err != nil {
			panic(err)
		}
		cs = append(cs, c)
	}
	val := strings.Repeat("x", *sz)
	var cnt, errs int64
	var mu sync.Mutex
	var lats []time.Duration
	var wg sync.WaitGroup
	end := time.Now().Add(*d)
	t0 := time.Now()
	for i := 0; i < *n; i++ {
		wg.Add(1)
		go func(i int) {
			defer wg.Done()
			var l []time.Duration
			c := cs[i%len(cs)]
			k := 0
			for time.Now().Before(end) {
				s := time.Now()
				k++
				var err error
				if *rd {
					_, err = c.Get(context.Background(), fmt.Sprintf("k%d-%d", i, k%100))
				} else {
					_, err = c.Put(context.Background(), fmt.Sprintf("k%d-%d", i, k%100), val)
				}
				if err != nil {
					atomic.AddInt64(&errs, 1)
					continue
				}
				l = append(l, time.Since(s))
				atomic.AddInt64(&cnt, 1)
			}
			mu.Lock()
			lats = append(lats, l...)
			mu.Unlock()
		}(i)
	}
	wg.Wait()
	el := time.Since(t0).Seconds()
	sort.Slice(lats, func(a, b int) bool { return lats[a] < lats[b] })
	q := func(p float64) time.Duration {
		if len(lats) == 0 {
			return 0
		}
		return lats[int(p*float64(len(lats)-1))]
	}
	fmt.Printf("c=%d ops=%d ops/s=%.0f errs=%d p50=%v p99=%v max=%v\n", *n, cnt, float64(cnt)/el, errs, q(.5), q(.99), q(1))
}
