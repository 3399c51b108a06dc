//! The component `controller-manager` as a shared library. It must not hold anything of its own.

kubernix_core::export_component!(kubernix_controller_manager::ControllerManager);
