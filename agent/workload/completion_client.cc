#include "agent/workload/completion_client.h"

#include "absl/strings/str_cat.h"
#include "agent/workload/completion_event.h"
#include "agent/workload/event_stream.h"

namespace joulefarm::agent {
namespace {

constexpr std::int64_t kSpeedPeriodNs = 250'000'000;

class CompletionStream : public EventStream {
 public:
  using EventStream::EventStream;

 private:
  void TakeEvent(const SseEvent& sse, std::int64_t t_ns) override {
    if (sse.data == "[DONE]") return;
    const absl::StatusOr<CompletionEvent> event = ParseCompletionEvent(sse.data);
    if (!event.ok()) return EndWith(event.status());
    Completion& completion = this->completion();
    const bool carries_token = !event->ids.empty() || event->has_content;
    if (carries_token && !TakeToken(*event, t_ns)) return;
    if (event->n_prompt) completion.n_prompt = event->n_prompt;
    if (event->n_evaluated) completion.n_evaluated = event->n_evaluated;
    if (event->n_cached) completion.n_cached = event->n_cached;
    if (event->prompt_ms) completion.prompt_ms = event->prompt_ms;
    if (!event->final) return;
    completion.n_gen = event->index;
    completion.stop = event->stop;
    if (event->index && *event->index < last_index_) {
      return End(StreamEnd::kGarbage,
                 absl::StrCat("the token count fell from ", last_index_, " to ", *event->index));
    }
    // A model may end at once; an engine that stops at the limit without a token is broken.
    if (completion.arrivals.empty() && completion.stop != "eos" && completion.stop != "word") {
      return End(StreamEnd::kGarbage, "the stream ended without a single token");
    }
    TellSpeed();  // a short request is told of here
    End(StreamEnd::kDone, "");
  }

  bool TakeToken(const CompletionEvent& event, std::int64_t t_ns) {
    if (!event.index) {
      End(StreamEnd::kGarbage,
          "events carry no token index (timings_per_token); this llama-server is too old");
      return false;
    }
    if (*event.index < last_index_ || (*event.index == last_index_ && !event.final)) {
      End(StreamEnd::kGarbage,
          absl::StrCat("the token index went from ", last_index_, " to ", *event.index));
      return false;
    }
    Completion& completion = this->completion();
    completion.ids.insert(completion.ids.end(), event.ids.begin(), event.ids.end());
    if (*event.index == last_index_) return true;
    last_index_ = *event.index;
    completion.arrivals.push_back(Arrival{last_index_, t_ns});
    Alive(t_ns);
    if (t_ns >= speed_told_ns_ + kSpeedPeriodNs) TellSpeed();
    return true;
  }

  // Between a stamp and the next read, which waits anyway.
  void TellSpeed() {
    if (!limits().on_speed || completion().arrivals.empty()) return;
    const Arrival& first = completion().arrivals.front();
    const Arrival& last = completion().arrivals.back();
    speed_told_ns_ = last.t_ns;
    if (last.t_ns > first.t_ns && first.index && last.index) {
      limits().on_speed((*last.index - *first.index) * 1e9 /
                        static_cast<double>(last.t_ns - first.t_ns));
    }
  }

  std::int32_t last_index_ = 0;
  std::int64_t speed_told_ns_ = 0;
};

}  // namespace

CompletionResult StreamCompletion(const Endpoint& endpoint, absl::string_view body,
                                  const CompletionLimits& limits, const StopFd& stop) {
  return CompletionStream(limits, stop).Run(endpoint, "/completion", body);
}

}  // namespace joulefarm::agent
