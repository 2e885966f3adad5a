// What `joulefarm doctor` found, from wherever it came.
//
// Thread rule: plain values, pure functions. Ownership: values.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "cli/output/text_table.h"
#include "common/table/table.h"
#include "joulefarm/v1/farm_service.pb.h"

namespace joulefarm::cli {

enum class Level { kOk, kWarning, kBroken, kNotChecked };

struct Finding {
  Level level = Level::kOk;
  std::string area;
  std::string text;
  std::string cure;  // empty when nothing is to be done
};

// What was looked at in one place.
struct Examined {
  std::string where;  // "this host", "controller 127.0.0.1:7070"
  std::vector<Finding> findings;
};

// What joulefarm-agent's doctor wrote as JSON. INTERNAL when it is not that.
absl::StatusOr<std::vector<Finding>> ParseAgentFindings(absl::string_view json);

std::vector<Finding> FromController(const v1::DiagnoseResponse& response);

// A heading per place, a line per finding, the cure below, and a count at the end. Long texts are
// broken between words where the look has a width.
std::string DoctorText(const std::vector<Examined>& places, const Look& look);

// Columns level (OK, WARNING, BROKEN, NOT_CHECKED), where, area, text, cure.
Table DoctorTable(const std::vector<Examined>& places);

bool AnyBroken(const std::vector<Examined>& places);

}  // namespace joulefarm::cli
