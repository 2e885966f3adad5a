// The kinds of workload there are and the keys each takes. Internal to common/experiment.
//
// Threads: pure functions. Ownership: descriptors live as long as the program.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "google/protobuf/descriptor.h"
#include "joulefarm/v1/job.pb.h"

namespace joulefarm {

enum class WorkloadKind { kGenerate, kThroughput, kCommand };

std::optional<WorkloadKind> KindNamed(absl::string_view name);
absl::string_view KindName(WorkloadKind kind);
// Every kind's name, for messages.
std::vector<std::string> KindNames();

// The fields of Workload this kind takes, `kind` first.
absl::Span<const char* const> FieldsOf(WorkloadKind kind);
// The message whose fields are the options of this kind; nullptr: it takes none.
const google::protobuf::Descriptor* OptionsOf(WorkloadKind kind);

// The field of Workload or of the kind's options that a matrix key names; nullptr for what cannot
// be a factor of this kind, and for every key of kCommand, whose factors are free.
const google::protobuf::FieldDescriptor* FactorField(WorkloadKind kind, absl::string_view key);
// Every key FactorField knows.
std::vector<std::string> FactorNames(WorkloadKind kind);

// The message of a JobSpec that options and factors of the kind go to, by name; nullptr: none.
google::protobuf::Message* SpecOf(WorkloadKind kind, v1::JobSpec* spec);

}  // namespace joulefarm
