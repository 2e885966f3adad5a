#include "controller/store/artifact_rows.h"

namespace joulefarm::controller {

std::optional<Artifact> ReadArtifact(Session& session, const std::string& name) {
  Rows rows = session.Query(
      R"sql(
          SELECT name, sha256, size_bytes, format, architecture, quant, parameters,
          context_length, pushed_wall_ns
          FROM artifact WHERE name = ? ORDER BY id DESC LIMIT 1)sql",
      name);
  if (!rows.Next()) return std::nullopt;
  Artifact artifact;
  artifact.name = rows.Text(0);
  artifact.sha256 = rows.Text(1);
  artifact.size_bytes = rows.Int(2);
  artifact.format = rows.Text(3);
  if (!rows.IsNull(4)) artifact.architecture = rows.Text(4);
  if (!rows.IsNull(5)) artifact.quant = rows.Text(5);
  artifact.parameters = rows.MaybeInt(6);
  artifact.context_length = rows.MaybeInt(7);
  artifact.pushed_wall_ns = rows.Int(8);
  return artifact;
}

ArtifactUse ReadArtifactUse(Session& session) {
  ArtifactUse use;
  {
    Rows rows = session.Query(
        R"sql(
            SELECT name, sha256, pushed_wall_ns,
            id = (SELECT max(id) FROM artifact AS newer WHERE newer.name = artifact.name)
            FROM artifact ORDER BY id)sql");
    while (rows.Next()) {
      use.rows.push_back({rows.Text(0), rows.Text(1), rows.Int(2), rows.Int(3) != 0});
    }
  }
  Rows rows = session.Query(
      R"sql(
          SELECT DISTINCT model_sha256 FROM job
          WHERE state NOT IN ('SUCCEEDED', 'FAILED', 'CANCELED', 'EXPIRED')
          AND model_sha256 IS NOT NULL)sql");
  while (rows.Next()) use.of_unfinished_jobs.push_back(rows.Text(0));
  return use;
}

void RemoveArtifact(Session& session, const std::string& sha256, std::int64_t wall_ns) {
  session.Run(
      R"sql(
          INSERT INTO farm_event (t_wall_ns, kind, subject, text)
          SELECT ?, 'artifact', name, 'collected: ' || size_bytes || ' bytes, SHA-256 ' || sha256
          FROM artifact WHERE sha256 = ?)sql",
      wall_ns, sha256);
  session.Run("DELETE FROM artifact WHERE sha256 = ?", sha256);
}

}  // namespace joulefarm::controller
