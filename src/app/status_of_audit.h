// The audit in the status of a worker: its metrics and its part of the JSON. Stateless.
#pragma once

#include <string>

#include "app/running_audit.h"
#include "app/status_parts.h"

namespace onceflow::app {

/// `audit` may be null: none runs beside this worker.
void add_audit(Families& families, const std::string& pipeline, const AuditView* audit);
/// A JSON object.
std::string audit_json(const AuditView* audit, MonotonicTime now);

}  // namespace onceflow::app
