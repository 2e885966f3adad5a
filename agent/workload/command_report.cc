#include "agent/workload/command_report.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "agent/workload/recorder.h"

namespace joulefarm::agent {
namespace {

std::string PhaseName(v1::Phase phase) {
  return absl::AsciiStrToLower(absl::StripPrefix(v1::Phase_Name(phase), "PHASE_"));
}

}  // namespace

void CommandReport::Take(const OutputLine& line) {
  std::optional<ReportLine> report;
  if (line.source == OutputSource::kStdout) report = ParseReportLine(line.text);
  if (report) {
    last_report_ns_ = line.t_ns;
    std::visit([&](const auto& taken) { TakeReport(taken, line.t_ns); }, *report);
  } else {
    log_.Take(line.text);
  }
}

void CommandReport::TakeReport(const PhaseLine& line, std::int64_t t_ns) {
  if (line.edge == PhaseLine::Edge::kEnd) {
    if (open_ && open_->phase == line.phase) {
      ClosePhase(t_ns);
    } else {
      log_.Take(absl::StrCat("(end of phase ", PhaseName(line.phase), " without its begin)"));
    }
    return;
  }
  ClosePhase(t_ns);
  open_ = OpenPhase{line.phase, t_ns};
  if (line.phase == v1::PHASE_PREFILL && !prefill_ns_) prefill_ns_ = t_ns;
}

void CommandReport::TakeReport(const MetricLine& line, std::int64_t t_ns) {
  v1::Metric metric;
  metric.set_run(run_);
  metric.set_name(line.name);
  metric.set_value(line.value);
  metric.set_unit(line.unit);
  metric.set_t_ns(t_ns);
  attempt_.context().recorder->Record(std::move(metric));
}

void CommandReport::TakeReport(const TokenLine& line, std::int64_t t_ns) {
  if (++tokens_ == 1) first_token_ns_ = t_ns;
  last_token_ns_ = t_ns;
  batch_.add_idx(tokens_);
  batch_.add_t_ns(t_ns);
  batch_.add_id(line.id);
  digest_.Update(absl::StrCat(line.id, "\n"));
  if (batch_.idx_size() >= kTokensPerBatch) FlushTokens();
}

void CommandReport::ClosePhase(std::int64_t t_ns) {
  if (!open_) return;
  attempt_.RecordPhase(open_->phase, open_->start_ns, t_ns, run_);
  open_.reset();
}

void CommandReport::FlushTokens() {
  if (batch_.idx_size() == 0) return;
  batch_.set_run(run_);
  batch_.set_request(0);
  attempt_.context().recorder->Record(std::exchange(batch_, {}));
}

std::int64_t CommandReport::Finish(std::int64_t end_ns) {
  end_ns = std::max(end_ns, last_report_ns_);
  if (open_) {
    const std::string name = PhaseName(open_->phase);
    ClosePhase(end_ns);
    for (const v1::Domain domain : {v1::DOMAIN_SPEED, v1::DOMAIN_ENERGY}) {
      v1::Event event;
      v1::Reason& reason = *event.mutable_reason();
      reason.set_run(run_);
      reason.set_domain(domain);
      reason.set_quality(v1::QUALITY_SUSPECT);
      reason.set_code("phase_not_ended");
      reason.set_detail(name);
      attempt_.Record(std::move(event));
    }
  }
  FlushTokens();
  if (tokens_ > 0 && prefill_ns_ && *prefill_ns_ <= first_token_ns_) RecordRequest();
  return end_ns;
}

void CommandReport::RecordRequest() {
  v1::Event event;
  v1::RequestDone& done = *event.mutable_request();
  done.set_run(run_);
  done.set_request(0);
  done.set_t_req_ns(*prefill_ns_);
  done.set_t_first_ns(first_token_ns_);
  done.set_t_last_ns(last_token_ns_);
  done.set_idx_first(1);
  done.set_idx_last(tokens_);
  done.set_n_gen(tokens_);
  attempt_.Record(std::move(event));
}

std::optional<std::string> CommandReport::output_sha256() {
  if (tokens_ == 0) return std::nullopt;
  digest_.Update("\n");
  return digest_.HexDigest();
}

}  // namespace joulefarm::agent
