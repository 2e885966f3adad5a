// A farm under test: fake clocks, plans applied to rows at once, effects collected; restarts from
// the rows.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "controller/core/farm.h"
#include "tests/controller/core/rows.h"

namespace joulefarm::controller {

constexpr std::int64_t kSecond = 1'000'000'000;

class FarmBench {
 public:
  FarmBench() { Restart(); }

  void Restart() {
    farm_ = std::make_unique<Farm>(FarmConfig{.instance = "test"}, rows_.Snapshot(), now_);
    Take(farm_->TakeRecoveryPlan());
  }

  // Effects of the last input.
  const std::vector<Effect>& Do(const FarmInput& input) {
    effects_.clear();
    writes_ = 0;
    Take(farm_->Handle(input, now_));
    return effects_;
  }

  // Lets time pass, ticking at every deadline on the way.
  void Pass(std::int64_t ns) {
    effects_.clear();
    const std::int64_t end = now_.boot_ns + ns;
    while (true) {
      const auto in = farm_->NextTickIn(now_);
      if (!in.has_value() || now_.boot_ns + *in > end) break;
      Advance(*in);
      Take(farm_->Handle(Tick{}, now_));
    }
    Advance(end - now_.boot_ns);
  }

  // The agent dials in and announces a device of its own name.
  SessionId Join(const AgentHello& hello) {
    Do(hello);
    return hello.session;
  }
  SessionId Join(const std::string& agent, std::vector<v1::HeldAttempt> held = {},
                 bool clean = true, const std::string& instance = "one") {
    AgentHello hello = Hello(agent, clean, instance);
    for (const auto& attempt : held) *hello.hello.add_held() = attempt;
    Do(hello);
    return hello.session;
  }

  AgentHello Hello(const std::string& agent, bool clean = true,
                   const std::string& instance = "one") {
    AgentHello hello;
    hello.session = ++last_session_;
    hello.hello.set_agent_id(agent);
    hello.hello.set_instance(instance);
    auto* device = hello.hello.add_devices();
    device->set_device_id(agent);
    device->set_clean(clean);
    device->mutable_facts()->set_os("linux");
    device->mutable_facts()->set_ram_mib(4096);
    return hello;
  }

  static v1::HeldAttempt Held(Fence fence, v1::AttemptState state, int source = 0) {
    v1::HeldAttempt held;
    held.set_fence(fence);
    held.set_state(state);
    held.set_source(source);
    return held;
  }

  SubmitRequested Request(int cells = 1) {
    SubmitRequested request;
    request.token = ++last_token_;
    request.experiment.name = "study";
    request.experiment.sha256 = "aa";
    std::vector<int> order;
    for (int i = 0; i < cells; ++i) {
      CellToRun cell;
      cell.spec.set_cell(absl::StrCat("threads=", i + 1));
      cell.spec.set_repetitions(3);
      cell.spec.mutable_limits()->set_queue_ns(24 * 3600 * kSecond);
      cell.spec.mutable_limits()->set_total_ns(48 * 3600 * kSecond);
      request.cells.push_back(cell);
      order.push_back(i);
    }
    request.block_orders.push_back(order);
    request.lost_after_ns = 600 * kSecond;
    return request;
  }

  absl::Status Submit(const SubmitRequested& request) {
    const ReplyToOperator* reply = nullptr;
    for (const Effect& effect : Do(request)) {
      if (const auto* r = std::get_if<ReplyToOperator>(&effect)) reply = r;
    }
    if (reply == nullptr) return absl::InternalError("no reply");
    return reply->status;
  }

  // How many rows the last input wrote.
  std::size_t writes() const { return writes_; }

  // What an agent says of an attempt.
  void Report(SessionId session, Fence fence, v1::AttemptState state, const std::string& detail) {
    AttemptReported reported{session, {}};
    reported.report.set_fence(fence);
    reported.report.set_state(state);
    reported.report.set_detail(detail);
    Do(reported);
  }

  // The grants among the last effects.
  std::vector<v1::Grant> Grants() const {
    std::vector<v1::Grant> grants;
    for (const Effect& effect : effects_) {
      if (const auto* send = std::get_if<SendToAgent>(&effect);
          send != nullptr && send->message.has_grant()) {
        grants.push_back(send->message.grant());
      }
    }
    return grants;
  }

  // Told to end as a helper: fence and source.
  std::vector<std::pair<Fence, int>> Releases() const {
    std::vector<std::pair<Fence, int>> releases;
    for (const Effect& effect : effects_) {
      if (const auto* send = std::get_if<SendToAgent>(&effect);
          send != nullptr && send->message.has_release()) {
        releases.emplace_back(send->message.release().fence(), send->message.release().source());
      }
    }
    return releases;
  }

  // Sessions that go on to measure, and for which device.
  std::vector<std::pair<SessionId, std::string>> GoingOn() const {
    std::vector<std::pair<SessionId, std::string>> helpers;
    for (const Effect& effect : effects_) {
      if (const auto* helper = std::get_if<HelperGoesOn>(&effect))
        helpers.emplace_back(helper->session, helper->device_id);
    }
    return helpers;
  }

  // Whose results are to be computed now.
  std::vector<Fence> Computes() const {
    std::vector<Fence> fences;
    for (const Effect& effect : effects_) {
      if (const auto* compute = std::get_if<ComputeResults>(&effect))
        fences.push_back(compute->fence);
    }
    return fences;
  }

  std::vector<Fence> Cancels() const {
    std::vector<Fence> fences;
    for (const Effect& effect : effects_) {
      if (const auto* send = std::get_if<SendToAgent>(&effect);
          send != nullptr && send->message.has_cancel()) {
        fences.push_back(send->message.cancel().fence());
      }
    }
    return fences;
  }

  const v1::Welcome* TheWelcome() const {
    for (const Effect& effect : effects_) {
      if (const auto* send = std::get_if<SendToAgent>(&effect);
          send != nullptr && send->message.has_welcome()) {
        return &send->message.welcome();
      }
    }
    return nullptr;
  }

  std::vector<CloseSession> Closed() const {
    std::vector<CloseSession> closed;
    for (const Effect& effect : effects_) {
      if (const auto* close = std::get_if<CloseSession>(&effect)) closed.push_back(*close);
    }
    return closed;
  }

  void Accept(SessionId session, Fence fence) {
    GrantReplied replied{session, {}};
    replied.reply.set_fence(fence);
    replied.reply.set_accepted(true);
    Do(replied);
  }

  // The last word of one source is durable.
  void Stored(Fence fence, int source, v1::Outcome outcome = v1::OUTCOME_SUCCEEDED,
              const std::string& reason = "") {
    Do(FinalStored{{fence, source, outcome, reason}});
  }

  // The results of an attempt are computed.
  void Computed(Fence fence, v1::Outcome outcome = v1::OUTCOME_SUCCEEDED) {
    AttemptFinalised finalised;
    finalised.final.set_outcome(outcome);
    finalised.final.set_clean(true);
    finalised.results.fence = fence;
    Do(finalised);
  }

  void Refuse(SessionId session, Fence fence) {
    GrantReplied replied{session, {}};
    replied.reply.set_fence(fence);
    replied.reply.set_reason("busy");
    Do(replied);
  }

  // The attempt's final is durable and its results are computed.
  void Finish(Fence fence, v1::Outcome outcome,
              v1::FailureClass failure = v1::FAILURE_CLASS_UNSPECIFIED, bool clean = true) {
    Do(FinalStored{{fence, 0, outcome, "because"}});
    AttemptFinalised finalised;
    finalised.final.set_outcome(outcome);
    finalised.final.set_failure_class(failure);
    finalised.final.set_reason("because");
    finalised.final.set_clean(clean);
    finalised.results.fence = fence;
    Do(finalised);
  }

  const Job& JobOf(const std::string& id) const { return farm_->jobs().at(id); }
  // As it was written last: the farm forgets those of jobs that ended.
  const Attempt& AttemptOf(Fence fence) const { return rows_.attempts().at(fence); }
  const Device& DeviceOf(const std::string& id) const { return farm_->devices().at(id); }
  const Resource& ResourceOf(const std::string& id) const { return farm_->resources().at(id); }
  const Farm& farm() const { return *farm_; }
  const Rows& rows() const { return rows_; }

 private:
  void Advance(std::int64_t ns) {
    now_.boot_ns += ns;
    now_.wall_ns += ns;
  }
  void Take(Plan plan) {
    writes_ += plan.writes.size();
    rows_.Apply(plan.writes);
    for (Effect& effect : plan.effects) effects_.push_back(std::move(effect));
  }

  Instant now_{.boot_ns = 1000 * kSecond, .wall_ns = 1'700'000'000 * kSecond};
  Rows rows_;
  std::unique_ptr<Farm> farm_;
  std::vector<Effect> effects_;
  std::size_t writes_ = 0;
  SessionId last_session_ = 0;
  RequestToken last_token_ = 0;
};

}  // namespace joulefarm::controller
