// Text as bytes, and decoding it, for decoders of lines.
//
// Threads: one. Ownership: values.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "agent/power/meter/model.h"
#include "tests/agent/power/meter/mutation.h"

namespace joulefarm::agent {

// What a whole text gives; every refusal is one more entry of `refusals`.
inline std::vector<MeterSample> DecodeText(const MeterModel& model, const std::string& text,
                                           std::vector<std::string>* refusals = nullptr) {
  const std::unique_ptr<MeterDecoder> decoder = model.make_decoder();
  std::vector<MeterSample> all;
  const Frame frame(text.begin(), text.end());
  Bytes bytes = frame;
  const auto take = [&](absl::StatusOr<std::vector<MeterSample>> samples) {
    if (!samples.ok()) {
      EXPECT_TRUE(absl::IsDataLoss(samples.status())) << samples.status();
      if (refusals == nullptr) {
        ADD_FAILURE() << samples.status();
      } else {
        refusals->push_back(std::string(samples.status().message()));
      }
      return false;
    }
    all.insert(all.end(), samples->begin(), samples->end());
    return true;
  };
  for (bool done = take(decoder->Decode(bytes)); !done;) done = take(decoder->Decode({}));
  for (bool done = take(decoder->Finish()); !done;) done = take(decoder->Finish());
  return all;
}

// nullopt: it is not there.
inline std::optional<double> More(const MeterSample& sample, const std::string& name) {
  for (const auto& [other, value] : sample.more) {
    if (other == name) return value;
  }
  return std::nullopt;
}

}  // namespace joulefarm::agent
