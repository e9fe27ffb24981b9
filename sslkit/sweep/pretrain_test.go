package sweep

import "testing"
import "time"
import "context"

func TestTiming(t *testing.T) {
	s, n := newStore(t)
	began := time.Now()
	r := pretrain(t, s, tiny(t))
	t.Log(time.Since(began), r.History, n.steps)
	began = time.Now()
	sc, err := s.Evaluate(context.Background(), tiny(t), quick())
	t.Log(time.Since(began), sc, err)
	began = time.Now()
	sc, err = s.Evaluate(context.Background(), tiny(t).Supervised(), quick())
	t.Log(time.Since(began), sc, err)
	began = time.Now()
	sc, err = s.Evaluate(context.Background(), tiny(t).RandomInit(), quick())
	t.Log(time.Since(began), sc, err)
	t.Log(n)
}
