#include "cli/trace/samples.h"

namespace joulefarm::cli {

void SampleSink::Row(const RowValues& row) {
  if (row.size() != 2 || !wants_more_) return;
  const auto* t_ns = std::get_if<std::int64_t>(&row[0]);
  const auto* value = std::get_if<double>(&row[1]);
  if (t_ns == nullptr || value == nullptr) return;
  wants_more_ = take_(*t_ns, *value);
}

const std::vector<Column>& SampleColumns() {
  static const std::vector<Column> kColumns{{"t_ns", ColumnKind::kNumber},
                                            {"t_s", ColumnKind::kNumber},
                                            {"value", ColumnKind::kNumber},
                                            {"phase", ColumnKind::kText}};
  return kColumns;
}

RowValues SampleRow(const TraceInfo& info, std::int64_t origin_ns, std::int64_t t_ns,
                    double value) {
  const TracePhase* phase = info.PhaseAt(t_ns);
  return {t_ns, static_cast<double>(t_ns - origin_ns) / 1e9, value,
          phase == nullptr ? Value() : Value(phase->name)};
}

}  // namespace joulefarm::cli
