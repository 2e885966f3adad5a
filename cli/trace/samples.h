// Samples on their way: cut to a run, given their phase, and handed to whoever wants them.
//
// Thread rule: one thread. Ownership: info and receivers outlive the sink.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "cli/trace/trace_info.h"
#include "common/table/table.h"

namespace joulefarm::cli {

// Reads the two columns of GetTrace.
class SampleSink : public TableSink {
 public:
  // False: no more samples are wanted.
  using Take = std::function<bool(std::int64_t t_ns, double value)>;
  explicit SampleSink(Take take) : take_(std::move(take)) {}
  void Begin(const std::vector<Column>& /*columns*/) override {}
  void Row(const RowValues& row) override;
  void End() override {}
  bool WantsMore() const override { return wants_more_; }

 private:
  Take take_;
  bool wants_more_ = true;
};

// The columns of a printed trace: t_ns, t_s, value, phase.
const std::vector<Column>& SampleColumns();
RowValues SampleRow(const TraceInfo& info, std::int64_t origin_ns, std::int64_t t_ns, double value);

}  // namespace joulefarm::cli
