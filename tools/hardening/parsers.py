"""Coverage-guided fuzzing of what needs no server, t/unit: parsers, names, timelines and the Merkle tree."""
import glob
import os
import re
import subprocess
import tempfile

from common import TOP, Report


def run(options, seconds, random_source):
    report = Report('parsers')
    targets = sorted(glob.glob(options.unit + '/fuzz_*')) if options.unit else []
    if not targets:
        report.ran = 'nothing: no clang with libFuzzer here (libclang-rt-NN-dev)'
        return report
    runs = {}
    for target in targets:
        subject = os.path.basename(target)[len('fuzz_'):]
        with tempfile.TemporaryDirectory(prefix='fuzz') as work:
            os.mkdir(work + '/corpus')
            subprocess.run([f'{options.unit}/test_{subject}', '--seeds', work + '/corpus', f'{TOP}/t/unit/{subject}.tsv'],
                           check=True)
            # A unit slower than this is a finding too.
            done = subprocess.run([target, f'-max_total_time={max(1, int(seconds / len(targets)))}', '-timeout=10',
                                   f'-seed={random_source.randrange(1, 1 << 31)}', '-print_final_stats=1', '-max_len=4096',
                                   f'-artifact_prefix={work}/', work + '/corpus'],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace', check=False)
            count = re.search(r'^stat::number_of_executed_units: (\d+)', done.stdout, re.MULTILINE)
            runs[subject] = int(count.group(1)) if count else 0
            if done.returncode != 0:
                artifacts = [path for path in glob.glob(work + '/*') if os.path.isfile(path)]
                inputs = []
                for path in artifacts[:1]:
                    with open(path, 'rb') as artifact:
                        inputs.append(repr(artifact.read()[:500]))
                report.finding(f'{subject}: {done.stdout[-1500:]}\ninput: {" ".join(inputs)}')
    report.ran = (f'{sum(runs.values()):,} runs of libFuzzer under ASan and UBSan (' +
                  ', '.join(f'{subject} {count:,}' for subject, count in runs.items()) + ')')
    return report
