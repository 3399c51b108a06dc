//! The component `metrics-server` as a shared library. It must not hold anything of its own.

kubernix_core::export_component!(kubernix_metrics_server::MetricsServer);
