import { IsInt, Max, Min } from '#common/validation/class-validator.js';
import { IsMemorySize } from '#common/config/checks.js';
import { Variable } from '#common/config/environment.js';

/** How a loader finalizes jobs. */
export class FinalizeConfig {
  @Variable('SLUICE_INDEX_CONNECTIONS', 'Connections on which a job’s indexes are built side by side')
  @IsInt()
  @Min(1)
  @Max(32)
  indexConnections: number = 2;

  /**
   * More is slower here: keys are sorted in pieces that fit the processor's caches, and merged. Building the largest
   * index over 6.4 million records took 25 s with 64 MB, 36 s with 256 MB, 48 s with 1 GB (`docs/performance.md`).
   */
  @Variable('SLUICE_MAINTENANCE_WORK_MEM', 'maintenance_work_mem of each of those connections, e.g. 64MB')
  @IsMemorySize()
  maintenanceWorkMem: string = '64MB';

  @Variable(
    'SLUICE_FINALIZE_AT_ONCE',
    'How many jobs a loader finalizes at once; each needs two connections besides those that build indexes',
  )
  @IsInt()
  @Min(1)
  @Max(16)
  finalizeAtOnce: number = 3;

  @Variable(
    'SLUICE_SWAP_LOCK_TIMEOUT_MS',
    'How long one attempt to lock the tables for the swap may make their readers wait',
  )
  @IsInt()
  @Min(10)
  @Max(60_000)
  swapLockTimeoutMs: number = 1_000;

  @Variable(
    'SLUICE_SNAPSHOT_WAIT_MS',
    'How long the swap waits for transactions that would find the new table empty',
  )
  @IsInt()
  @Min(0)
  @Max(3_600_000)
  snapshotWaitMs: number = 60_000;

  @Variable(
    'SLUICE_SWEEP_INTERVAL_MS',
    'How often a loader polls for jobs to finalize and outcomes to announce',
  )
  @IsInt()
  @Min(10)
  @Max(60_000)
  sweepIntervalMs: number = 2_000;

  @Variable(
    'SLUICE_FINALIZE_LEASE_SECONDS',
    'Time without a sign of life after which another loader takes over a finalization',
  )
  @IsInt()
  @Min(2)
  @Max(600)
  finalizeLeaseSeconds: number = 30;

  @Variable(
    'SLUICE_KEEP_FAILED_HOURS',
    'How long a failed job keeps what it has staged, so that it can be resumed',
  )
  @IsInt()
  @Min(0)
  @Max(8_760)
  keepFailedHours: number = 72;
}
