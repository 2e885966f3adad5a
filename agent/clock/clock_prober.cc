#include "agent/clock/clock_prober.h"

#include <algorithm>
#include <utility>

namespace joulefarm::agent {

ClockProber::ClockProber(ClockLog* log, Hooks hooks, std::int64_t period_ns)
    : log_(log), hooks_(std::move(hooks)), period_ns_(period_ns) {}

void ClockProber::Online(Connection connection, std::int64_t heartbeat_ns) {
  connection_ = connection;
  heartbeat_ns_ = heartbeat_ns;
  online_ = true;
  log_->SetOnline(true);
  Begin();
}

void ClockProber::Offline() {
  online_ = false;
  left_ = 0;
  log_->SetOnline(false);
}

void ClockProber::Fired() {
  const bool followed = log_->followed();
  if (!followed && online_ && hooks_.now_ns() < begun_ns_ + std::max(period_ns_, heartbeat_ns_)) {
    hooks_.arm(begun_ns_ + std::max(period_ns_, heartbeat_ns_));
    return;
  }
  if (!followed && !online_) return;  // until there is a session again
  Begin();
}

void ClockProber::Wanted() {
  if (left_ == 0) return Begin();
  left_ = kBurst;
}

void ClockProber::Begin() {
  begun_ns_ = hooks_.now_ns();
  // Also without a session: a sleep is seen by the snapshots.
  log_->Add(hooks_.read_clocks());
  hooks_.arm(begun_ns_ + (log_->followed() ? period_ns_ : std::max(period_ns_, heartbeat_ns_)));
  if (!online_) return;
  // What is left of a burst that was never answered stays unanswered; a late answer still counts.
  left_ = kBurst;
  Probe();
}

void ClockProber::Probe() {
  v1::AgentMessage message;
  message.mutable_clock_probe()->set_seq(++seq_);
  message.mutable_clock_probe()->set_t1_ns(hooks_.now_ns());
  hooks_.send(connection_, std::move(message));
}

void ClockProber::Replied(Connection connection, const v1::ClockReply& reply,
                          std::int64_t arrived_ns) {
  if (!online_ || connection != connection_ || reply.seq() > seq_) return;
  v1::ClockExchange exchange;
  exchange.set_t1_ns(reply.t1_ns());
  exchange.set_t2_ns(reply.t2_ns());
  exchange.set_t3_ns(reply.t3_ns());
  exchange.set_t4_ns(arrived_ns);
  exchange.set_peer_boot_id(reply.boot_id());
  if (reply.has_raw_ns()) exchange.set_peer_raw_ns(reply.raw_ns());
  log_->Add(exchange);
  if (reply.seq() != seq_ || left_ == 0) return;
  if (--left_ > 0) {
    Probe();
  } else {
    log_->BurstDone();
  }
}

}  // namespace joulefarm::agent
