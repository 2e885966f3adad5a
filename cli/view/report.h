// An experiment as a Markdown document: what ran on what, what came out, how sure it is, how to do
// it again.
//
// Thread rule: pure function. Ownership: values.
#pragma once

#include <string>

#include "common/table/table.h"

namespace joulefarm::cli {

// What the report is made of; columns as the queries of cli/commands/experiment_report.cc name
// them.
struct ReportData {
  Table experiment;  // one row: id, name, tenant, sha256, seed, submitted, text, overrides
  Table jobs;  // id, cell, device_id, state, failure_class, reason, repetitions, warmup, attempts
  Table devices;   // id, kind, facts
  Table builds;    // device_id, engine, engine_version, … of the accepted attempts
  Table models;    // model, quant, model_size_bytes, model_sha256
  Table channels;  // device_id, channel, quantity, scope, provenance, nominal_hz, gain_u, …
  Table results;   // the listing
  Table summary;   // the listing
};

std::string ReportMarkdown(const ReportData& data);

}  // namespace joulefarm::cli
