// Builds what the store reads back of an attempt, for tests of the finaliser.
//
// Threads: one. Ownership: values.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "common/crc32c/crc32c.h"
#include "common/trace/chunk_writer.h"
#include "controller/ingest/finaliser.h"
#include "gtest/gtest.h"

namespace joulefarm::controller::attempt_builder {

inline constexpr std::int64_t kMs = 1'000'000;

// Builds what the store reads back of an attempt from 0 to 10 s.
class Attempt {
 public:
  Attempt() {
    data_.spec.set_power(v1::POWER_REQUIRE_OPTIONAL);
    v1::GenerateSpec& generate = *data_.spec.mutable_generate();
    generate.add_prompts()->set_text("hello");
    generate.set_max_tokens(5);
    generate.set_temperature(0);
    generate.set_ignore_eos(true);
    data_.final.set_started_ns(1);
    data_.final.set_ended_ns(10'000 * kMs);
    v1::StreamCursor& cursor = *data_.final.add_last();
    cursor.set_fence(7);
  }

  AttemptData& data() { return data_; }
  v1::GenerateSpec& generate() { return *data_.spec.mutable_generate(); }
  v1::Event& Event() { return data_.events.emplace_back(); }

  v1::RunDone& Run(int run, std::int64_t start_ms, std::int64_t end_ms) {
    v1::RunDone& done = *Event().mutable_run();
    done.set_run(run);
    done.set_start_ns(start_ms * kMs);
    done.set_end_ns(end_ms * kMs);
    return done;
  }

  v1::PhaseDone& Phase(v1::Phase phase, std::int64_t start_ms, std::int64_t end_ms) {
    v1::PhaseDone& done = *Event().mutable_phase();
    done.set_phase(phase);
    done.set_start_ns(start_ms * kMs);
    done.set_end_ns(end_ms * kMs);
    return done;
  }

  // One request of 5 tokens: 100 ms of prefill, then one token every 25 ms; with its phases.
  v1::RequestDone& Request(int run, int request, std::int64_t start_ms) {
    for (const auto& [phase, from, to] :
         {std::tuple{v1::PHASE_PREFILL, start_ms, start_ms + 100},
          std::tuple{v1::PHASE_DECODE, start_ms + 100, start_ms + 200}}) {
      v1::PhaseDone& done = Phase(phase, from, to);
      done.set_run(run);
      done.set_request(request);
    }
    v1::TokenBatch& tokens = data_.tokens.emplace_back();
    tokens.set_run(run);
    tokens.set_request(request);
    for (int i = 0; i < 5; ++i) {
      tokens.add_idx(i + 1);
      tokens.add_t_ns((start_ms + 100 + 25 * i) * kMs);
    }
    v1::RequestDone& done = *Event().mutable_request();
    done.set_run(run);
    done.set_request(request);
    done.set_t_req_ns(start_ms * kMs);
    done.set_t_first_ns((start_ms + 100) * kMs);
    done.set_t_last_ns((start_ms + 200) * kMs);
    done.set_idx_first(1);
    done.set_idx_last(5);
    done.set_n_prompt(30);
    done.set_n_evaluated(30);
    done.set_n_cached(0);
    done.set_prompt_ms(60);
    done.set_n_gen(5);
    done.set_stop("limit");
    return done;
  }

  v1::ChannelInfo& Channel(const std::string& name, v1::Quantity quantity, double scale) {
    v1::ChannelInfo& info = *Event().mutable_channel();
    info.set_name(name);
    info.set_quantity(quantity);
    info.set_scale(scale);
    info.set_provenance(v1::PROVENANCE_MEASURED);
    info.set_scope(v1::SCOPE_DEVICE);
    info.set_gain_u(0.01);
    if (quantity == v1::QUANTITY_POWER_W) info.set_offset_u(0);
    return info;
  }

  // Samples raw(t in ms) every `period_ms` from `from_ms` to `to_ms`, both included, in chunks.
  void Samples(const std::string& name, std::int64_t from_ms, std::int64_t to_ms,
               std::int64_t period_ms, const std::function<std::int64_t(std::int64_t)>& raw,
               int source = 0) {
    TraceEncoder encoder;
    ChunkWriter writer(name, &encoder);
    const auto keep = [&](const std::optional<v1::TraceChunk>& chunk) {
      if (chunk) data_.chunks.push_back({source, *chunk});
    };
    for (std::int64_t t = from_ms; t <= to_ms; t += period_ms) keep(writer.Add(t * kMs, raw(t)));
    keep(writer.Flush());
  }

  // A primary meter, 1 kHz in mW: 2 W, while a run's phases pass 12 W (prefill) and 7 W (decode);
  // see Request.
  v1::ChannelInfo& Meter(std::vector<std::int64_t> requests_at_ms = {}) {
    Samples("meter", 0, 10'000, 1, [=](std::int64_t t) -> std::int64_t {
      for (const std::int64_t at : requests_at_ms) {
        if (t >= at && t < at + 100) return 12'000;
        if (t >= at + 100 && t < at + 200) return 7'000;
      }
      return 2'000;
    });
    v1::ChannelInfo& info = Channel("meter", v1::QUANTITY_POWER_W, 1e-3);
    info.set_nominal_hz(1000);
    info.set_primary(true);
    return info;
  }

  // As the store keeps them: every chunk with its summary and checksum.
  void Stored() {
    TraceDecoder decoder;
    for (AttemptData::Chunk& chunk : data_.chunks) {
      TraceSamples samples;
      if (decoder.Decode(chunk.chunk, samples).ok())
        chunk.summary = Summarise(samples.t_ns, samples.raw);
      chunk.crc32c = Crc32c(chunk.chunk.data());
    }
  }

  void Earlier(std::int64_t fence, const std::string& sha256) {
    data_.earlier_output = {fence, sha256};
  }
  AttemptResults Finalised(Summaries summaries = Summaries::kStored) const {
    return Finalise(data_, summaries);
  }

 private:
  AttemptData data_;
};

inline const EnergyResult* Find(const AttemptResults& results, const std::string& channel,
                                std::optional<int> run, std::optional<int> request,
                                std::optional<v1::Phase> phase) {
  for (const EnergyResult& energy : results.energies) {
    if (energy.channel == channel && energy.run == run && energy.request == request &&
        energy.phase == phase) {
      return &energy;
    }
  }
  ADD_FAILURE() << "no such row";
  static const EnergyResult none;
  return &none;
}

inline constexpr std::nullopt_t kNone = std::nullopt;

}  // namespace joulefarm::controller::attempt_builder
