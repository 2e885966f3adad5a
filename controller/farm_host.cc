#include "controller/farm_host.h"

#include <chrono>
#include <future>
#include <utility>

#include "absl/strings/str_cat.h"
#include "boost/asio/post.hpp"
#include "controller/ingest/finaliser.h"
#include "spdlog/spdlog.h"

namespace joulefarm::controller {

namespace asio = boost::asio;

FarmHost::FarmHost(Store& store, FarmConfig config, std::function<Instant()> clock)
    : store_(store),
      config_(std::move(config)),
      clock_(std::move(clock)),
      work_(asio::make_work_guard(strand_)),
      tick_(strand_),
      reload_(strand_) {}

FarmHost::~FarmHost() { Stop(); }

absl::Status FarmHost::Start(AgentGateway& gateway) {
  gateway_ = &gateway;
  absl::StatusOr<FarmSnapshot> snapshot = store_.Load();
  if (!snapshot.ok()) return snapshot.status();
  loop_ = std::make_unique<StoreLoop>(store_);
  asio::post(strand_,
             [this, snapshot = *std::move(snapshot)]() mutable { Adopt(std::move(snapshot)); });
  thread_ = std::thread([this] { strand_.run(); });
  return absl::OkStatus();
}

void FarmHost::Stop() {
  if (!thread_.joinable()) return;
  // No new plans; then what is on its way becomes durable and is answered; then the strand ends.
  std::promise<void> quiet;
  asio::post(strand_, [this, &quiet] {
    farm_.reset();
    stopping_ = true;
    tick_.cancel();
    reload_.cancel();
    quiet.set_value();
  });
  quiet.get_future().wait();
  finaliser_.join();
  loop_.reset();
  work_.reset();
  thread_.join();
}

void FarmHost::Adopt(FarmSnapshot snapshot) {
  if (stopping_) return;
  ++generation_;
  farm_ = std::make_unique<Farm>(config_, std::move(snapshot), clock_());
  {
    const std::lock_guard<std::mutex> lock(reason_mutex_);
    read_only_reason_.clear();
  }
  Carry(farm_->TakeRecoveryPlan());
  ArmTimer();
}

void FarmHost::OnHello(SessionId session, v1::Hello hello) {
  loop_->Run([this, session, hello = std::move(hello)](Store& store) mutable {
    AgentHello input{session, std::move(hello), {}};
    for (const v1::HeldAttempt& held : input.hello.held()) {
      const auto cursors = store.Cursors(held.fence());
      if (cursors.ok()) input.cursors.insert(input.cursors.end(), cursors->begin(), cursors->end());
    }
    asio::post(strand_, [this, input = std::move(input)] {
      if (farm_ == nullptr) {
        gateway_->Close(input.session, absl::UnavailableError(absl::StrCat(
                                           "the controller cannot write: ", ReadOnlyReason())));
        return;
      }
      Handle(input);
    });
  });
}

void FarmHost::OnGone(SessionId session) {
  // By the same way as its Hello, which it must not overtake.
  loop_->Run([this, session](Store&) {
    asio::post(strand_, [this, session] { Handle(AgentGone{session}); });
  });
}

void FarmHost::OnInput(FarmInput input) {
  asio::post(strand_, [this, input = std::move(input)] { Handle(input); });
}

void FarmHost::Ask(std::function<FarmInput(RequestToken)> fill, Reply reply) {
  asio::post(strand_, [this, fill = std::move(fill), reply = std::move(reply)]() mutable {
    const RequestToken token = ++last_token_;
    replies_[token] = std::move(reply);
    if (farm_ == nullptr) {
      Answer(
          {token,
           absl::UnavailableError(absl::StrCat("the controller cannot write: ", ReadOnlyReason())),
           {}});
      return;
    }
    Handle(fill(token));
  });
}

void FarmHost::OnFrames(std::vector<v1::Frame> frames,
                        std::function<void(absl::StatusOr<v1::UploadResponse>)> done) {
  loop_->Ingest(std::move(frames), [this, done = std::move(done)](
                                       absl::StatusOr<IngestOutcome> outcome) mutable {
    asio::post(strand_, [this, done = std::move(done), outcome = std::move(outcome)]() mutable {
      if (!outcome.ok()) {
        done(outcome.status());
        return;
      }
      // The farm learns of a last word before its agent may forget it.
      for (SourceFinal& final : outcome->finals) Handle(FinalStored{std::move(final)});
      done(std::move(outcome->response));
    });
  });
}

std::string FarmHost::ReadOnlyReason() const {
  const std::lock_guard<std::mutex> lock(reason_mutex_);
  return read_only_reason_;
}

void FarmHost::Handle(const FarmInput& input) {
  if (farm_ == nullptr) return;
  Carry(farm_->Handle(input, clock_()));
  ArmTimer();
}

void FarmHost::Carry(Plan plan) {
  std::vector<Fence> results;
  for (const Write& write : plan.writes) {
    if (const auto* of = std::get_if<AttemptResults>(&write)) results.push_back(of->fence);
  }
  loop_->Commit(
      std::move(plan.writes), [this, generation = generation_, results = std::move(results),
                               effects = std::move(plan.effects)](absl::Status status) mutable {
        asio::post(strand_, [this, generation, status = std::move(status),
                             results = std::move(results), effects = std::move(effects)]() mutable {
          if (!status.ok()) {
            if (generation != generation_ || farm_ == nullptr) return;
            NoteUnstorable(results, status);
            Broken(status);
            return;
          }
          for (Effect& effect : effects) Do(std::move(effect));
        });
      });
}

// The first failure after which memory is dropped is that of the plan with the refused row. Results
// that are refused for good would be computed and refused again after every reload.
void FarmHost::NoteUnstorable(const std::vector<Fence>& results, const absl::Status& why) {
  if (!absl::IsInvalidArgument(why)) return;
  for (const Fence fence : results) {
    spdlog::error("the results of attempt {} cannot be stored; it counts as failed", fence);
    unstorable_[fence] = std::string(why.message());
  }
}

void FarmHost::Do(Effect effect) {
  if (auto* send = std::get_if<SendToAgent>(&effect)) {
    gateway_->Send(send->session, std::move(send->message));
  } else if (auto* close = std::get_if<CloseSession>(&effect)) {
    gateway_->Close(close->session, close->status);
  } else if (auto* opened = std::get_if<SessionOpened>(&effect)) {
    gateway_->Opened(opened->session, opened->agent_id, opened->epoch);
  } else if (const auto* helper = std::get_if<HelperGoesOn>(&effect)) {
    gateway_->GoesOn(helper->session, helper->device_id, helper->fence);
  } else if (const auto* compute = std::get_if<ComputeResults>(&effect)) {
    Finalise(compute->fence);
  } else if (auto* reply = std::get_if<ReplyToOperator>(&effect)) {
    Answer(std::move(*reply));
  }
}

void FarmHost::Answer(ReplyToOperator reply) {
  const auto it = replies_.find(reply.token);
  if (it == replies_.end()) return;
  const Reply to = std::move(it->second);
  replies_.erase(it);
  to(std::move(reply));
}

void FarmHost::ArmTimer() {
  if (farm_ == nullptr) return;
  const auto in = farm_->NextTickIn(clock_());
  if (!in.has_value()) {
    tick_.cancel();
    return;
  }
  tick_.expires_after(std::chrono::nanoseconds(*in));
  tick_.async_wait([this](const boost::system::error_code& error) {
    if (!error) Handle(Tick{});
  });
}

// Memory holds what the disk does not: drop it, say so, and go on from the disk once it can be
// written again.
void FarmHost::Broken(const absl::Status& why) {
  if (farm_ == nullptr) return;
  spdlog::error("cannot write results: {}; read-only until this is mended",
                std::string(why.message()));
  farm_.reset();
  {
    const std::lock_guard<std::mutex> lock(reason_mutex_);
    read_only_reason_ = std::string(why.message());
  }
  const absl::Status status = absl::UnavailableError(
      absl::StrCat("the controller cannot write: ", std::string(why.message())));
  gateway_->CloseAll(status);
  std::vector<RequestToken> waiting;
  for (const auto& [token, reply] : replies_) waiting.push_back(token);
  for (const RequestToken token : waiting) Answer({token, status, {}});
  tick_.cancel();
  TryReload();
}

void FarmHost::TryReload() {
  if (stopping_) return;
  reload_.expires_after(std::chrono::seconds(1));
  reload_.async_wait([this](const boost::system::error_code& error) {
    if (error || stopping_) return;
    FarmEvent note{clock_().wall_ns, "farm", "store", "writing again after: " + ReadOnlyReason()};
    loop_->Reload(std::move(note), [this](absl::StatusOr<FarmSnapshot> snapshot) {
      asio::post(strand_, [this, snapshot = std::move(snapshot)]() mutable {
        if (!snapshot.ok()) {
          TryReload();
          return;
        }
        spdlog::info("the store can be written again");
        Adopt(*std::move(snapshot));
      });
    });
  });
}

void FarmHost::Finalise(Fence fence) {
  if (stopping_) return;  // the next start finds it in the store
  std::optional<std::string> refused;
  if (const auto it = unstorable_.find(fence); it != unstorable_.end()) refused = it->second;
  loop_->Run([this, fence, refused](Store& store) {
    auto data = std::make_shared<absl::StatusOr<AttemptData>>(store.ReadAttempt(fence));
    asio::post(finaliser_, [this, fence, refused, data] {
      AttemptFinalised input;
      if (data->ok() && refused) {
        input.final.set_clean((*data)->final.clean());
        input.final.set_outcome(v1::OUTCOME_FAILED);
        input.final.set_failure_class(v1::FAILURE_CLASS_INFRA);
        input.final.set_reason(absl::StrCat("its results cannot be stored: ", *refused));
      } else if (data->ok()) {
        input.final = (*data)->final;
        input.results = joulefarm::controller::Finalise(**data);
      } else {
        input.final.set_outcome(v1::OUTCOME_FAILED);
        input.final.set_failure_class(v1::FAILURE_CLASS_INFRA);
        input.final.set_reason(absl::StrCat("the stored result cannot be read: ",
                                            std::string(data->status().message())));
      }
      input.results.fence = fence;
      asio::post(strand_, [this, input = std::move(input)] { Handle(input); });
    });
  });
}

}  // namespace joulefarm::controller
